"""Cost of SDFT over SFT a sequence, in counted FLOPs and in seconds, beside the paper's 2.5 and 4."""

from __future__ import annotations

from typing import Any

from sdft.common.provenance import Clock
from sdft.evidence.exhibits.cost import cost_claims, ratio_rows
from sdft.evidence.names import TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.pages.tables.measured import envelope, table_manifest
from sdft.pages.writers import value_text


def cost(results: Results, clock: Clock) -> dict[str, Any]:
    """verdict.json of the cost."""
    rows = ratio_rows(results)
    claims = cost_claims(results, rows)

    body = [
        [
            *(TASK_NAMES[row["task"]], row["label"], value_text(row, ".2f"), str(row["n_seeds"])),
            *(f"{row['published']:g}", row["verdict"]),
        ]
        for row in rows
    ]
    return {
        **envelope(results, "cost", claims),
        "unit": "times SFT",
        "rows": rows,
        "claims": claims,
        "sections": [
            {
                "title": "",
                "header": ["Task", "Measure", "SDFT over SFT", "Seeds", "Paper", "Verdict"],
                "body": body,
                "words": 2,
                "note": "A training sequence of SDFT over one of SFT: geometric mean [low, high] over seeds "
                "with its 95 % interval. FLOPs are counted by torch, seconds are what the run took over its sequences.",
            }
        ],
        "manifest": table_manifest(results, clock),
    }
