"""`python -m sdft.learning.promote`: which candidates of a sweep go on after its first rung (`sweep: halving`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from sdft.common.command import parse_spec
from sdft.common.errors import run_main
from sdft.common.files import sha256_file, write_json
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.learning.select import rank, read_candidate
from sdft.study.plan import PARTS
from sdft.study.specs import PromoteSpec

RULE = (
    f"The better 1/{PARTS} of the candidates, rounded up, go on: by accuracy on validation after 1/{PARTS} of their "
    "steps, with the selection's rules for seeds and ties."
)
EXAMPLES = """example:
  python -m sdft.learning.promote --candidates results/mini/sweep/tooluse/sdft/*/rung.json --out /tmp/promoted.json
"""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_spec(PromoteSpec, "sdft.learning.promote", f"{__doc__}\n\n{RULE}", arguments, EXAMPLES)
    publish_alone(options.out)
    clock = Clock()
    ranking = rank([read_candidate(path) for path in options.candidates])
    ahead = ranking[: math.ceil(len(ranking) / PARTS)]
    write_json(
        Path(options.out),
        {
            "rule": RULE,
            "promoted": sorted(run for row in ahead for run in row["runs"]),
            "ranking": ranking,
            "manifest": manifest(
                "select", clock=clock, inputs={str(path): sha256_file(path) for path in options.candidates}
            ),
        },
    )


if __name__ == "__main__":
    run_main(main)
