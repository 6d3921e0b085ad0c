"""Figure 7: what the teacher's context holds, on Knowledge."""

from __future__ import annotations

from typing import Any

from sdft.evidence.exhibits.table1 import METRICS, TASK
from sdft.evidence.outcomes import Results
from sdft.evidence.published import lookup, printed_difference
from sdft.evidence.quantities import Comparison, compare, measured_row, point, quantity
from sdft.evidence.statements import Statement, conclude_all

# Bars of Figure 7: the paper's row, how it is called, the arm.
CONTEXTS = (
    ("answer_only", "Answer alone", "sdft.answer"),
    ("text_only", "Text alone", "sdft.text"),
    ("text_and_answer", "Text and answer", "sdft.knowledge"),
)

STATEMENTS = (
    Statement(
        "context-order",
        "Figure 7",
        "Text and answer together make the best teacher, then the text alone, then the answer alone.",
        "text and answer minus text alone, text alone minus answer alone, strict accuracy",
    ),
)


def figure7(results: Results) -> dict[str, Any]:
    """Bars of Figure 7, in percent, with the paper's beside them and what was not run."""
    bars, not_drawn = [], []
    for row, name, arm in CONTEXTS:
        own = results.arm(arm, TASK)
        printed = lookup("figure7", TASK, row, "strict")
        values = {metric: measured_row("figure7", own, quantity(metric, TASK)) for metric in METRICS} if own else {}
        if not values or values["strict"]["mean"] is None or not results.enabled:
            not_drawn.append({"what": name, "arm": arm, "why": "NOT RUN"})
            values = {}
        bars.append(
            {
                "context": row,
                "label": name,
                "arm": arm,
                "paper": printed.value,
                **{metric: point(value) for metric, value in values.items()},
            }
        )
    order = [("text_and_answer", "text_only"), ("text_only", "answer_only")]
    claims = conclude_all(results, STATEMENTS, {"context-order": [_difference(results, *pair) for pair in order]})
    return {"unit": "percent", "bars": bars, "not_drawn": not_drawn, "claims": claims}


def _difference(results: Results, one: str, other: str) -> Comparison:
    """One context minus another, strict accuracy; by the paper's rows."""
    called = {row: (name, arm) for row, name, arm in CONTEXTS}
    pair = (called[one][0], called[other][0])
    return compare(
        *(results.arm(called[row][1], TASK) for row in (one, other)),
        quantity("strict", TASK),
        name=f"{pair[0]} minus {pair[1]}",
        names=pair,
        published=printed_difference("figure7", TASK, one, other, "strict"),
    )
