"""Appendix A.1 as a table: estimators on a toy that can be enumerated, and what each choice does to training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError
from sdft.common.files import read_json
from sdft.common.provenance import Clock
from sdft.evidence.exhibits.ablations import ABLATIONS, METRICS, ablation_claims, arm_rows
from sdft.evidence.names import MEASURE_NAMES, TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.pages.tables.measured import envelope, table_manifest
from sdft.pages.writers import INTERVALS, counts_text, value_text


def ablations(results: Results, clock: Clock) -> dict[str, Any]:
    """verdict.json of the ablations."""
    rows, toy = arm_rows(results), toy_rows(results)
    claims = ablation_claims(results)
    return {
        **envelope(results, "ablations", claims),
        "title": "Appendix A.1: ablations",
        "unit": "percent",
        "rows": rows,
        "estimators": toy,
        "claims": claims,
        "sections": [_toy_section(toy), *(section(name, title, rows) for name, (title, _) in ABLATIONS.items())],
        "manifest": table_manifest(results, clock),
    }


def toy_rows(results: Results) -> list[dict[str, Any]]:
    """Bias and variance of each estimator from the json that the plan names under `estimators`.

    `sdft.losses.enumerated` writes a list `estimators` of {"estimator", "samples_of", "divergence", "bias_norm",
    "variance", "error": {batch: root mean square}, ...}. Empty where it was not run.
    """
    path = results.exhibit.estimators
    if not results.enabled or not path or not Path(path).exists():
        return []
    rows = read_json(path).get("estimators")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "estimator" in row for row in rows):
        raise SdftError(f"{path} has no list `estimators`; delete it and run the same command again.")
    return rows


def _text(value: Any) -> str:
    if isinstance(value, float):
        # What is zero but for rounding in float64 is zero.
        return "0" if abs(value) < 1e-12 else f"{value:.3g}"
    if isinstance(value, dict | list):
        return ""
    return "" if value is None else str(value).replace("_", " ")


def _toy_section(rows: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [
        {**row, **{f"error, batch {batch}": value for batch, value in (row.get("error") or {}).items()}} for row in rows
    ]
    columns = list(
        dict.fromkeys(key for row in rows for key, value in row.items() if not isinstance(value, dict | list))
    )
    columns.sort(key=lambda name: name != "estimator")
    body = [[_text(row.get(name)) for name in columns] for row in rows] or [["NOT RUN"]]
    return {
        "title": "Estimators on an enumerable toy, against the exact gradient",
        "header": [name.replace("_", " ").capitalize() for name in columns] or ["Estimator"],
        "body": body,
        "note": "Norms over the whole gradient, by enumeration of every sequence: bias is the distance of the "
        "estimator's mean from the exact gradient of the sequence-level divergence, variance that of one sample, "
        "error the root mean square of both for a batch."
        if rows
        else "",
    }


def section(ablation: str, title: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The rows of one ablation as a part of a table."""
    own = [row for row in rows if row["ablation"] == ablation]
    lines: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in own:
        lines.setdefault((row["task"], row["label"]), {})[row["metric"]] = row
    body = [
        [TASK_NAMES[task], label, *(value_text(cells[name]) if name in cells else "NOT RUN" for name in METRICS)]
        for (task, label), cells in lines.items()
    ]
    return {
        "title": title,
        "header": ["Task", "Arm", *(MEASURE_NAMES[name] for name in METRICS)],
        "body": body or [["", "NOT RUN", "", ""]],
        "words": 2,
        "note": f"Percent, {INTERVALS}. {counts_text(own)}",
    }
