"""Whether the base model at paper scale passed its gate (sdft/study/gate.yaml)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdft.common.files import read_json
from sdft.evidence.outcomes import Results


def failed_checks(results: Results) -> dict[str, list[dict[str, Any]]]:
    """Failed checks by base model, from the gate files that the plan names; none of a scale not beside the paper."""
    if not results.beside_paper:
        return {}
    records = [read_json(path) for path in map(Path, results.exhibit.gate) if path.exists()]
    return {record["model"]: [check for check in record["checks"] if not check["passed"]] for record in records}


def missed(results: Results, benchmarks: Sequence[str], sizes: Sequence[str | None] = (None,)) -> str | None:
    """Why numbers on these benchmarks, of models that come from base models of these sizes, cannot be compared.

    None where each of those base models has no gate, or passes it on all of the benchmarks.
    """
    models = {run.name for size in sizes for run in results.bases.get(size, results.base)}
    for model, failed in failed_checks(results).items():
        names = [check["benchmark"] for check in failed if check["benchmark"] in benchmarks]
        if names and model in models:
            return f"The base model {model} misses its gate on {', '.join(names)}."
    return None
