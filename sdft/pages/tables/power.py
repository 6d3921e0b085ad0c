"""What differences a design of base models and seeds can decide, with 80 % power at 5 %."""

from __future__ import annotations

from typing import Any

from sdft.common.provenance import Clock
from sdft.evidence.exhibits.power import DESIGNS, METRICS, rows
from sdft.evidence.names import MEASURE_NAMES, TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.pages.tables.measured import envelope, table_manifest

NOTE = (
    "Percentage points: the smallest difference that a design finds with 80 % power at 5 %, on these base models / for "
    "any base model, from the spread of SDFT minus SFT between the base models and seeds of the sweep (validation, the "
    "chosen candidates). The choice of test items adds to it. A reading that the sweep cannot speak of is a dash."
)


def power(results: Results, clock: Clock) -> dict[str, Any]:
    """verdict.json of the power analysis."""
    found = rows(results)
    header = ["Task", "Measure", "sd bases", "sd seeds", *(f"{bases} x {seeds}" for bases, seeds in DESIGNS)]
    body = [
        [
            TASK_NAMES[row["task"]],
            MEASURE_NAMES[row["metric"]],
            *(_text(row["components"][name]) for name in ("base", "seed")),
            *(f"{_text(entry.get('these_bases'))} / {_text(entry.get('any_base'))}" for entry in row["designs"]),
        ]
        for row in found
    ] or [["NOT RUN", *[""] * (3 + len(DESIGNS))]]
    return {
        **envelope(results, "power", []),
        "title": "Power: base models x seeds",
        "unit": "percentage points",
        "rows": found,
        "metrics": list(METRICS),
        "claims": [],
        "sections": [{"title": "", "header": header, "body": body, "words": 2, "note": NOTE}],
        "manifest": table_manifest(results, clock),
    }


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
