"""Tables of the paper from scores, one file each: every cell with its interval beside the printed number, and claims.

The function of a file's own name makes its verdict.json. A file may write it in its own way with a function `texts`;
all others hold `sections`, which are written alike.

`python -m sdft.pages.tables --plan PLAN.json --out DIR` writes table.csv, table.md, table.tex and verdict.json of the
item that the plan names. What was not run shows as NOT RUN, and so does all of a study that is switched off.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from sdft.common.errors import SdftError, did_you_mean
from sdft.common.files import write_json, write_text
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock
from sdft.evidence.outcomes import read_results
from sdft.pages import writers
from sdft.study.exhibits import names


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.pages.tables",
        description=__doc__.split("\n")[0],
        epilog="example: python -m sdft.pages.tables --plan results/mini/tables/table5/plan.json --out /tmp/table5",
    )
    parser.add_argument("--plan", required=True, help="PLAN.json that names the runs and files behind every cell")
    parser.add_argument("--out", required=True, help="folder for table.csv, table.md, table.tex and verdict.json")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    clock, results, out = Clock(), read_results(options.plan), Path(options.out)
    name = results.exhibit.name
    if name not in names("table"):
        raise SdftError(f"{options.plan} asks for the table {name!r}; {did_you_mean(name, names('table'))}")
    module = import_module(f"{__package__}.{name}")
    verdict = getattr(module, name)(results, clock)
    for suffix, text in getattr(module, "texts", writers.texts)(verdict).items():
        write_text(out / f"table.{suffix}", text)
    write_json(out / "verdict.json", verdict)
