"""Table 2: a reasoning model that is taught with answers alone."""

from __future__ import annotations

from typing import Any

from sdft.evidence.outcomes import Cell, Results
from sdft.evidence.published import printed_difference
from sdft.evidence.quantities import Comparison, compare, quantity
from sdft.evidence.statements import Statement, conclude_all

TASK = "medical"
METRICS = ("new_task", "generated_tokens")
LINES = (("Base", "base"), ("SFT", "sft.answer_only"), ("SDFT", "sdft.answer_only"))
STATEMENTS = (
    Statement(
        "reasoning-sft-hurts",
        "Table 2, accuracy",
        "SFT on answers alone makes a reasoning model worse than it was.",
        "base minus SFT, accuracy",
    ),
    Statement(
        "reasoning-sdft-gains",
        "Table 2, accuracy",
        "SDFT on the same answers makes it better.",
        "SDFT minus base, accuracy",
    ),
    Statement(
        "reasoning-sft-shortens",
        "Table 2, generated tokens",
        "SFT on answers alone shortens the reasoning; SDFT keeps more of it.",
        "base minus SFT and SDFT minus SFT, generated tokens",
        near=None,
    ),
)


def cell(results: Results, arm: str) -> Cell | None:
    if arm == "base":
        return results.base_cell(TASK) if results.base else None
    return results.arm(arm, TASK)


def table2_claims(results: Results, incomparable: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """The claims of Table 2, by the statements' ids."""
    names = {arm: name for name, arm in LINES}

    def difference(one: str, other: str, metric: str) -> Comparison:
        own = [cell(results, arm) for arm in (one, other)]
        return compare(
            *own,
            quantity(metric, TASK),
            name=f"{names[one]} minus {names[other]}",
            names=(names[one], names[other]),
            published=printed_difference("table2", TASK, one.split(".")[0], other.split(".")[0], metric),
        )

    sft, sdft = "sft.answer_only", "sdft.answer_only"
    return conclude_all(
        results,
        STATEMENTS,
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
