"""Whether the base model at paper scale passed its gate (sdft/study/gate.yaml)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdft.common.files import read_json
from sdft.evidence.outcomes import Results
from sdft.study.gate import bands


def failed_checks(results: Results) -> list[dict[str, Any]]:
    """Failed checks of the gated model, from the gate files that the plan names; none at any scale but the paper's."""
    if not results.beside_paper:
        return []
    records = [read_json(path) for path in map(Path, results.exhibit.gate) if path.exists()]
    own = [record for record in records if record["model"] == bands()["model"]]
    return [check for record in own for check in record["checks"] if not check["passed"]]


def missed(results: Results, benchmarks: Sequence[str], sizes: Sequence[str | None] = (None,)) -> str | None:
    """Why numbers on these benchmarks, of models that come from base models of these sizes, cannot be compared.

    None where the gated model is not among those base models, or passes its gate on all of the benchmarks.
    """
    models = {run.name for size in sizes for run in results.bases.get(size, results.base)}
    names = [check["benchmark"] for check in failed_checks(results) if check["benchmark"] in benchmarks]
    if not names or bands()["model"] not in models:
        return None
    return f"The base model {bands()['model']} misses its gate on {', '.join(names)}."
