"""Controls that readers of the paper ask for: what each learns and what it keeps, and five questions of ours."""

from __future__ import annotations

from typing import Any

from sdft.evidence.names import TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.evidence.quantities import Comparison, compare, measured_row, point, quantity
from sdft.evidence.statements import NEAR, Statement, conclude_all

METRICS = ("new_task", "prior_average")
ARMS = {
    "sft": "SFT",
    "sft.kl": "SFT + KL to base",
    "sft.replay": "SFT + replay",
    "sdft": "SDFT",
    "sdft.mismatched20": "SDFT, 20 % mismatched",
    "sdft.mismatched": "SDFT, all mismatched",
    "sdft.anchored": "SDFT + anchor to base",
}
PLACE = "not in the paper"
STATEMENTS = (
    Statement(
        "critics-content",
        PLACE,
        "SDFT learns more from each row's own demonstration than from another row's.",
        "SDFT minus SDFT with all demonstrations mismatched, accuracy",
        ours=True,
    ),
    Statement(
        "critics-noise",
        PLACE,
        "A fifth of mismatched demonstrations costs SDFT next to nothing.",
        "SDFT with 20 % mismatched minus SDFT, accuracy",
        "not_worse",
        NEAR,
        ours=True,
    ),
    Statement(
        "critics-kl",
        PLACE,
        "SDFT learns and keeps at least as much as SFT with a KL penalty to the base.",
        "SDFT minus SFT + KL to base, accuracy and prior average",
        "not_worse",
        NEAR,
        ours=True,
    ),
    Statement(
        "critics-replay",
        PLACE,
        "SDFT learns and keeps at least as much as SFT with replay of general prompts.",
        "SDFT minus SFT + replay, accuracy and prior average",
        "not_worse",
        NEAR,
        ours=True,
    ),
    Statement(
        "critics-anchor",
        PLACE,
        "An anchor to the frozen base makes SDFT forget less.",
        "SDFT + anchor minus SDFT, prior average",
        ours=True,
    ),
)


def critics(results: Results) -> dict[str, Any]:
    """A value of each arm with its interval in percent, by metric; the base model's; and the claims."""
    if not results.tasks:
        # Of a scale that does not have this study.
        return {"claims": conclude_all(results, STATEMENTS, {})}
    task = results.tasks[0]

    def value(cell: Any, metric: str) -> dict[str, Any] | None:
        return point(measured_row(None, cell, quantity(metric, task))) if cell and results.enabled else None

    def minus(one: str, other: str, *metrics: str) -> list[Comparison]:
        words = {"new_task": "accuracy", "prior_average": "prior average"}
        return [
            compare(
                results.arm(one, task),
                results.arm(other, task),
                quantity(metric, task),
                name=f"{TASK_NAMES[task]}: {ARMS[one]} minus {ARMS[other]}, {words[metric]}",
                names=(ARMS[one], ARMS[other]),
            )
            for metric in metrics
        ]

    arms = [
        {"arm": arm, "label": label, **{metric: value(results.arm(arm, task), metric) for metric in METRICS}}
        for arm, label in ARMS.items()
    ]
    base = dict(zip(METRICS, results.reference(task) or (None, None), strict=True))
    claims = {
        "critics-content": minus("sdft", "sdft.mismatched", "new_task"),
        "critics-noise": minus("sdft.mismatched20", "sdft", "new_task"),
        "critics-kl": minus("sdft", "sft.kl", *METRICS),
        "critics-replay": minus("sdft", "sft.replay", *METRICS),
        "critics-anchor": minus("sdft.anchored", "sdft", "prior_average"),
    }
    return {
        "unit": "percent",
        "task": task,
        "base": {metric: value(base[metric], metric) for metric in METRICS},
        "arms": arms,
        "not_drawn": [
            {"what": entry["label"], "arm": entry["arm"], "why": "NOT RUN"} for entry in arms if not entry["new_task"]
        ],
        "claims": conclude_all(results, STATEMENTS, claims),
    }
