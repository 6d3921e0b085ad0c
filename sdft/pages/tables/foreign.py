"""Table 5's methods taught by two experts, whose words the base model shares and hardly shares: a factor of our own."""

from __future__ import annotations

from typing import Any

from sdft.common.provenance import Clock
from sdft.evidence.exhibits.ablations import METRICS, arm_rows
from sdft.evidence.names import MEASURE_NAMES, METHOD_NAMES, TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.evidence.quantities import compare, quantity
from sdft.pages.tables.ablations import section
from sdft.pages.tables.measured import envelope, table_manifest
from sdft.pages.writers import counts_text, value_text

METHODS = ("sft", "sft_reinvoke", "dft", "sdft")
# The suffix of an expert's arms, and how it is called.
EXPERTS = {"": "Expert who shares most of the base model's words", ".foreign": "Foreign expert"}
ARMS = {
    expert: (expert, tuple((f"{method}{suffix}", METHOD_NAMES[method]) for method in METHODS))
    for suffix, expert in EXPERTS.items()
}


def foreign(results: Results, clock: Clock) -> dict[str, Any]:
    """verdict.json of the two experts."""
    rows = arm_rows(results, ARMS)
    return {
        **envelope(results, "foreign", []),
        "title": "The expert's words: shared or foreign",
        "unit": "percent",
        "rows": rows,
        "claims": [],
        "sections": [*(section(expert, expert, rows) for expert in ARMS), _differences(results)],
        "manifest": table_manifest(results, clock),
    }


def _differences(results: Results) -> dict[str, Any]:
    """SDFT minus SFT with either expert, paired by item and seed."""
    body, rows = [], []
    for task in results.tasks:
        for suffix, expert in EXPERTS.items():
            cells = [results.arm(f"{method}{suffix}", task) if results.enabled else None for method in ("sdft", "sft")]
            line = [TASK_NAMES[task], expert]
            for metric in METRICS:
                found = compare(*cells, quantity(metric, task), name=expert, names=("SDFT", "SFT"))
                if found.interval is None:
                    line.append("NOT RUN")
                    continue
                rows.append(
                    {
                        **{"mean": found.interval.mean, "n_seeds": len(found.seeds), "n_items": found.interval.n_items},
                        **{"label": expert, "bases": found.bases, "reading": found.interval.reading},
                    }
                )
                line.append(value_text(vars(found.shown), "+z.1f"))
            body.append(line)
    return {
        "title": "SDFT minus SFT",
        "header": ["Task", "Expert", *(MEASURE_NAMES[name] for name in METRICS)],
        "body": body,
        "words": 2,
        "note": "Percentage points, mean [low, high] with the 95 % interval, paired by item and seed. "
        + counts_text(rows),
    }
