"""What Figures 6 and 8 share: arms that differ in one choice on one task, at the end and along training."""

from __future__ import annotations

from typing import Any

from sdft.evidence.names import on
from sdft.evidence.outcomes import Results
from sdft.evidence.published import lookup, printed_difference
from sdft.evidence.quantities import Comparison, compare, measured_row, point, quantity
from sdft.evidence.trajectories import curve, prior_reader, task_reader

# The paper's; a scale may ask these studies on another task.
TASK = "tooluse"


def arms(results: Results, item: str, which: tuple[tuple[str, str, str | None], ...]) -> dict[str, Any]:
    """Bars and curves of some arms: accuracy at the end on the test set, and along training; in percent."""
    task = results.task(TASK)
    bars, not_drawn = [], []
    for arm, name, row in which:
        cell = results.arm(arm, task)
        value = prior = None
        path: dict[str, Any] = {"new_task": [], "prior_average": []}
        if cell and results.enabled:
            value = point(measured_row(item, cell, quantity("new_task", task)))
            prior = point(measured_row(item, cell, quantity("prior_average", task)))
            path = {
                "new_task": curve(cell.runs, task_reader(task), task),
                "prior_average": curve(cell.runs, prior_reader),
            }
        if value is None:
            not_drawn.append({"what": name, "arm": arm, "why": "NOT RUN"})
        if not path["new_task"]:
            not_drawn.append({"what": f"{name} along training", "arm": arm, "why": "NOT RUN"})
        printed = lookup(item, TASK, row, "new_task") if row else None
        bars.append(
            {
                "arm": arm,
                "label": name,
                "paper": printed.value if printed else None,
                "new_task": value,
                "prior_average": prior,
                "along": path,
            }
        )
    reference, prior = (
        point(measured_row(item, base, quantity(metric, task))) if base else None
        for base, metric in zip(results.reference(task) or (None, None), ("new_task", "prior_average"), strict=True)
    )
    return {
        **{"unit": "percent", "task": task, "paper_task": TASK, "base": reference, "base_prior": prior},
        **{"arms": bars, "not_drawn": not_drawn},
    }


def difference(results: Results, item: str, which: Any, one: str, other: str) -> Comparison:
    task = results.task(TASK)
    names = {arm: name for arm, name, _ in which}
    rows = {arm: row for arm, _, row in which}
    return compare(
        results.arm(one, task),
        results.arm(other, task),
        quantity("new_task", task),
        name=f"{on(task, TASK)}{names[one]} minus {names[other]}".replace(" (ours)", ""),
        names=(names[one], names[other]),
        published=printed_difference(item, TASK, rows[one], rows[other], "new_task") if task == TASK else None,
    )
