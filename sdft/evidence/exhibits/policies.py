"""Figures 6 and 8: arms that differ in one choice on Tool Use, at the end and along training."""

from __future__ import annotations

from typing import Any

from sdft.evidence.exhibits.teacher import point
from sdft.evidence.outcomes import Results
from sdft.evidence.published import lookup
from sdft.evidence.quantities import Comparison, compare, measured_row, quantity
from sdft.evidence.statements import conclude_all
from sdft.evidence.trajectories import curve, prior_reader, task_reader

TASK = "tooluse"
# arm, how it is called, the paper's row
POLICIES = (
    ("sdft", "On-policy (SDFT)", "sdft"),
    ("off_policy_fresh", "Fresh teacher samples (ours)", None),
    ("offline_distillation", "Fixed teacher samples, KL", "offline_distillation"),
    ("sft_from_teacher", "Fixed teacher samples, SFT", "sft_from_teacher"),
)
TEACHERS = (
    ("sdft", "EMA", "ema_teacher"),
    ("sdft.bfloat16_ema", "EMA in bfloat16 (ours)", None),
    ("sdft.frozen", "Frozen base", "base_teacher"),
    ("sdft.student", "Current student", "student_teacher"),
)


def arms(results: Results, item: str, which: tuple[tuple[str, str, str | None], ...]) -> dict[str, Any]:
    """Bars and curves of some arms: accuracy at the end on the test set, and along training; in percent."""
    task = next((cell.task for cell in results.cells), TASK)
    bars, not_drawn = [], []
    for arm, name, row in which:
        cell = results.arm(arm, task)
        value = prior = None
        path: dict[str, Any] = {"new_task": [], "prior_average": []}
        if cell and results.enabled:
            value = point(measured_row(item, cell, quantity("new_task", task)))
            prior = point(measured_row(item, cell, quantity("prior_average", task)))
            path = {"new_task": curve(cell.runs, task_reader(task)), "prior_average": curve(cell.runs, prior_reader)}
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
    base = results.base_cell(task, distinct=True) if results.base and results.enabled else None
    reference = point(measured_row(item, base, quantity("new_task", task))) if base else None
    return {"unit": "percent", "task": task, "base": reference, "arms": bars, "not_drawn": not_drawn}


def _difference(results: Results, item: str, which: Any, one: str, other: str) -> Comparison:
    task = next((cell.task for cell in results.cells), TASK)
    names = {arm: name for arm, name, _ in which}
    rows = {arm: row for arm, _, row in which}
    printed = [lookup(item, TASK, rows[arm], "new_task") if rows[arm] else None for arm in (one, other)]
    return compare(
        results.arm(one, task),
        results.arm(other, task),
        quantity("new_task", task),
        name=f"{names[one]} minus {names[other]}".replace(" (ours)", ""),
        names=(names[one], names[other]),
        published=None if None in printed else round(printed[0].value - printed[1].value, 3),
    )


def figure6(results: Results) -> dict[str, Any]:
    """Numbers of Figure 6: the same teacher three ways, and the control that separates freshness from policy."""

    def minus(other: str) -> list[Comparison]:
        return [_difference(results, "figure6", POLICIES, "sdft", other)]

    claims = conclude_all(
        results,
        "figure6",
        {
            "onpolicy-beats-offline": minus("offline_distillation"),
            "onpolicy-beats-teacher-sft": minus("sft_from_teacher"),
            "onpolicy-beats-fresh": minus("off_policy_fresh"),
        },
    )
    return {**arms(results, "figure6", POLICIES), "claims": claims}


def figure8(results: Results) -> dict[str, Any]:
    """Numbers of Figure 8: which weights the teacher has."""

    def minus(one: str, other: str) -> Comparison:
        return _difference(results, "figure8", TEACHERS, one, other)

    claims = conclude_all(
        results,
        "figure8",
        {
            "ema-beats-frozen": [minus("sdft", "sdft.frozen")],
            "student-teacher-collapses": [minus("sdft", "sdft.student"), minus("sdft.frozen", "sdft.student")],
            "bfloat16-ema-is-frozen": [minus("sdft.bfloat16_ema", "sdft.frozen")],
        },
    )
    return {**arms(results, "figure8", TEACHERS), "claims": claims}
