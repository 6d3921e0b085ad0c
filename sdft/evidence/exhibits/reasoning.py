"""Table 2: a reasoning model that is taught with answers alone."""

from __future__ import annotations

from typing import Any

from sdft.evidence.outcomes import Cell, Results
from sdft.evidence.published import lookup
from sdft.evidence.quantities import Comparison, compare, quantity
from sdft.evidence.statements import conclude_all

TASK = "medical"
METRICS = ("new_task", "generated_tokens")
LINES = (("Base", "base"), ("SFT", "sft.answer_only"), ("SDFT", "sdft.answer_only"))


def cell(results: Results, arm: str) -> Cell | None:
    if arm == "base":
        return results.base_cell(TASK) if results.base else None
    return results.arm(arm, TASK)


def table2_claims(results: Results, incomparable: dict[str, str] | None = None) -> list[dict[str, Any]]:
    names = {arm: name for name, arm in LINES}

    def difference(one: str, other: str, metric: str) -> Comparison:
        pair = [lookup("table2", TASK, arm.split(".")[0], metric) for arm in (one, other)]
        own = [cell(results, arm) for arm in (one, other)]
        return compare(
            *own,
            quantity(metric, TASK),
            name=f"{names[one]} minus {names[other]}",
            names=(names[one], names[other]),
            published=round(pair[0].value - pair[1].value, 3),
        )

    sft, sdft = "sft.answer_only", "sdft.answer_only"
    return conclude_all(
        results,
        "table2",
        {
            "reasoning-sft-hurts": [difference("base", sft, "new_task")],
            "reasoning-sdft-gains": [difference(sdft, "base", "new_task")],
            "reasoning-sft-shortens": [
                difference("base", sft, "generated_tokens"),
                difference(sdft, sft, "generated_tokens"),
            ],
        },
        incomparable,
    )
