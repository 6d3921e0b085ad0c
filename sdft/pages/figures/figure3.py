"""Figure 3: one model through several tasks in turn, at the end as the paper draws it, and along training."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sdft.evidence.exhibits import figure3 as measured
from sdft.evidence.names import TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.pages.figures.style import (
    LOOKS,
    TASK_LOOKS,
    band,
    counted,
    ends,
    gap,
    notice,
    opening,
    page_not_run,
    paper_panel,
)
from sdft.pages.writers import value_text

# Ends of the normalised axis at the end of training; intervals may go on beyond them.
LOW, HIGH = -1.0, 1.6
TRANSFERS = {"backward": "Backward\ntransfer", "forward": "Forward\ntransfer", "forgetting": "Forgetting"}


def figure3(results: Results) -> tuple[Figure, dict[str, Any]]:
    """The paper's panel beside ours, both at the end; below, one order along training. The rest is a supplement."""
    numbers = measured.figure3(results)
    if not results.enabled:
        return page_not_run(results, "figure3", numbers["claims"])
    panel = _ordered(numbers)[0]
    figure = plt.figure(figsize=(9.6, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, 6, height_ratios=[1, 1.1])
    papers, ours = figure.add_subplot(grid[0, :3]), figure.add_subplot(grid[0, 3:])
    _paper(papers, numbers["paper"])
    _ours(ours, panel)
    rows = [figure.add_subplot(grid[1, 2 * k : 2 * k + 2]) for k in range(3)]
    for axes, (arm, name, _) in zip(rows, measured.ARMS, strict=False):
        _curves(axes, panel, panel["arms"].get(arm), f"{name}, accuracy (%)", normalised=False)
    _share(rows[0], rows[1])
    _prior(rows[2], panel, measured.ARMS)
    figure.legend(handles=_handles([panel]), loc="outside upper center", ncols=5, handlelength=3)
    figure.supxlabel(notice(results), fontsize=8, color="#555555")
    points = _points(numbers)
    caption = (
        f"{opening(results, 'figure3')} One model trained on several tasks in turn. Top: accuracy on each task at the "
        "end, normalised (0 is the base model, 1 the best mean that either method reaches in that order); left the "
        f"paper's values, read off its plot, right ours, whose axis ends at {LOW:g} and {HIGH:g}. Below: accuracy on "
        f"every task along the way in the order {_words(panel['order'])}, and the average of the prior benchmarks. "
        f"{counted(points)}; bars and bands are 95 % intervals over seeds and items, those of the prior average over "
        f"seeds alone.{_offline(numbers)}"
    )
    return figure, {"caption": caption, **numbers}


def supplement(results: Results, numbers: dict[str, Any]) -> list[tuple[str, str, Figure]]:
    """An order each: accuracy raw and normalised, prior average, transfers, and accuracy after each stage."""
    if not results.enabled:
        return []
    return [
        (
            f"Order {_words(panel['order'])}",
            f"The order {_words(panel['order'])}: accuracy along training, raw and normalised; the average of the "
            "prior benchmarks; backward transfer (end minus after the task's own stage), forward transfer (before its "
            "own stage minus base) and forgetting (the best earlier stage minus the end), each a mean over tasks; "
            "accuracy after each stage and, where it was measured, the same with a demonstration in the prompt, from "
            f"which the next stage's teacher starts. {counted(_points({'panels': [panel]}))}; bands, bars and brackets "
            "are 95 % intervals.",
            _whole(panel),
        )
        for panel in numbers["panels"]
    ]


def _whole(panel: dict[str, Any]) -> Figure:
    taught = any(own["in_context"] for own in panel["arms"].values())
    figure, rows = plt.subplots(4 + taught, 2, figsize=(9.2, 11.6 + 2.4 * taught), layout="constrained")
    for c, (arm, name, _) in enumerate(measured.ARMS):
        own = panel["arms"].get(arm)
        _curves(rows[0][c], panel, own, f"{name}, accuracy (%)", normalised=False)
        _curves(rows[1][c], panel, own, f"{name}, normalised", normalised=True)
        _matrix(rows[3][c], panel, own, f"{name}: accuracy after each stage (%)", "matrix")
        if taught:
            _matrix(rows[4][c], panel, own, f"{name}: with a demonstration shown (%)", "in_context")
    for row in rows[:2]:
        _share(row[0], row[1])
    _prior(rows[2][0], panel, measured.ARMS)
    _transfers(rows[2][1], panel, measured.ARMS)
    figure.legend(handles=_handles([panel]), loc="outside upper center", ncols=5, handlelength=3)
    return figure


def _ordered(numbers: dict[str, Any]) -> list[dict[str, Any]]:
    """The orders that were run, the paper's first; an empty one of the paper's where none was."""
    paper = numbers["paper"]["order"]
    found = sorted(numbers["panels"], key=lambda panel: panel["order"] != paper)
    return found or [{"order": paper, "arms": {}, "scales": {}}]


def _words(order: list[str]) -> str:
    return ", ".join(TASK_NAMES[task] for task in order)


def _offline(numbers: dict[str, Any]) -> str:
    judged = any("medical" in panel["order"] for panel in numbers["panels"])
    return " Medical answers along the way are scored by the offline judge at every scale." if judged else ""


def _points(numbers: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        point
        for panel in numbers["panels"]
        for arm in panel["arms"].values()
        for name, curve in arm["curves"].items()
        if name != "prior_average"
        for point in curve
    ]


def _handles(panels: list[dict[str, Any]]) -> list[Line2D]:
    tasks = dict.fromkeys(task for panel in panels for task in panel["order"])
    found = [
        Line2D([], [], color=TASK_LOOKS[t][0], marker=TASK_LOOKS[t][1], ls=TASK_LOOKS[t][2], label=TASK_NAMES[t])
        for t in tasks
    ]
    return found + [
        Line2D([], [], color=LOOKS[method][0], marker=LOOKS[method][1], ls="none", label=name)
        for _, name, method in measured.ARMS
    ]


def _ours(axes: Axes, panel: dict[str, Any]) -> None:
    """Our values at the end, drawn as the paper's are."""
    axes.set_title("ours, at the end", fontsize=9)
    drawn = False
    for j, (arm, _, method) in enumerate(measured.ARMS):
        colour, marker = LOOKS[method]
        for k, task in enumerate(panel["order"]):
            points = panel["arms"].get(arm, {}).get("curves", {}).get(task, [])
            found = [point["normalised"] for point in points if "normalised" in point]
            if found:
                drawn = True
                at = k + 0.2 * (j - 0.5)
                axes.errorbar(at, found[-1]["mean"], yerr=ends(found[-1]), fmt=marker, color=colour, ms=6, capsize=3)
    if not drawn:
        gap(axes)
        return
    for level in (0, 1):
        axes.axhline(level, color="#000000", lw=0.7, ls=(0, (1, 2)))
    axes.set_xticks(range(len(panel["order"])), [TASK_NAMES[task] for task in panel["order"]])
    axes.set_xlim(-0.5, len(panel["order"]) - 0.5)
    axes.set_ylim(LOW, HIGH)
    axes.set_ylabel("normalised")


def _stages(axes: Axes, order: list[str]) -> None:
    for stage in range(1, len(order)):
        axes.axvline(stage, color="#999999", lw=0.9, ls=(0, (4, 3)), zorder=1)
    axes.set_xlim(-0.08, len(order) + 0.08)
    axes.set_xticks([k + 0.5 for k in range(len(order))], [TASK_NAMES[task] for task in order])
    axes.tick_params(axis="x", length=0)
    axes.grid(False, axis="x")


def _unrun(axes: Axes, order: list[str], points: dict[str, list[dict[str, Any]]], names: list[str]) -> None:
    """Shade the stages of which no point was measured."""
    for stage in range(len(order)):
        if not any(point["stage"] == stage for name in names for point in points[name]):
            axes.axvspan(stage, stage + 1, facecolor="none", edgecolor="#bbbbbb", hatch="//", lw=0)
            axes.text(stage + 0.5, 0.5, "NOT RUN", ha="center", transform=axes.get_xaxis_transform(), fontsize=8)


def _curves(axes: Axes, panel: dict[str, Any], arm: dict[str, Any] | None, title: str, *, normalised: bool) -> None:
    axes.set_title(title)
    if arm is None:
        gap(axes)
        return
    for task in panel["order"]:
        points = arm["curves"][task]
        if normalised:
            points = [{**point, **point["normalised"]} for point in points if "normalised" in point]
        if points:
            band(axes, points, "at", *TASK_LOOKS[task])
    if normalised:
        for level in (0, 1):
            axes.axhline(level, color="#000000", lw=0.7, ls=(0, (1, 2)))
    _stages(axes, panel["order"])
    _unrun(axes, panel["order"], arm["curves"], panel["order"])


def _share(one: Axes, other: Axes) -> None:
    if one.lines and other.lines:
        low = min(one.get_ylim()[0], other.get_ylim()[0])
        high = max(one.get_ylim()[1], other.get_ylim()[1])
        one.set_ylim(low, high)
        other.set_ylim(low, high)


def _prior(axes: Axes, panel: dict[str, Any], arms: list[tuple[str, str, str]]) -> None:
    axes.set_title("Prior average (%)")
    drawn = False
    for arm, _, method in arms:
        points = panel["arms"].get(arm, {}).get("curves", {}).get("prior_average", [])
        if points:
            colour, marker = LOOKS[method]
            band(axes, points, "at", colour, marker, "-" if method == "sdft" else "--")
            drawn = True
    if drawn:
        _stages(axes, panel["order"])
    else:
        gap(axes)


def _transfers(axes: Axes, panel: dict[str, Any], arms: list[tuple[str, str, str]]) -> None:
    axes.set_title("Transfer and forgetting (points)")
    found = {arm: panel["arms"].get(arm, {}).get("transfer") for arm, _, _ in arms}
    if not any(found.values()):
        gap(axes)
        return
    axes.axhline(0, color="#000000", lw=0.9)
    for j, (arm, name, method) in enumerate(arms):
        colour, marker = LOOKS[method]
        for k, kind in enumerate(TRANSFERS):
            if found[arm]:
                value = found[arm][kind]
                at = k + 0.22 * (j - 0.5)
                axes.errorbar(
                    at, value["mean"], yerr=ends(value), fmt=marker, color=colour, ms=7, mec="white", capsize=3
                )
            elif k == 1:
                axes.text(1, 0.03, f"{name}: NOT RUN", ha="center", transform=axes.get_xaxis_transform(), fontsize=8)
    axes.set_xticks(range(len(TRANSFERS)), list(TRANSFERS.values()))
    axes.set_xlim(-0.5, len(TRANSFERS) - 0.5)


def _matrix(axes: Axes, panel: dict[str, Any], arm: dict[str, Any] | None, title: str, kind: str) -> None:
    axes.set_title(title)
    matrix = arm and arm[kind]
    if not matrix:
        gap(axes)
        return
    values = [[cell["mean"] if cell else float("nan") for cell in row] for row in matrix]
    axes.imshow(values, cmap="Greys", vmin=0, vmax=220, aspect="auto")
    for i, row in enumerate(matrix):
        for j, cell in enumerate(row):
            shown = value_text(cell, "z.0f", "\n") if cell else "-"
            axes.text(j, i, shown, ha="center", va="center", weight="bold" if i - 1 == j else "normal")
    axes.set_xticks(range(len(panel["order"])), [TASK_NAMES[task] for task in panel["order"]])
    axes.set_yticks(range(len(matrix)), ["Base", *(f"after {TASK_NAMES[task]}" for task in panel["order"])])
    axes.grid(False)
    axes.tick_params(length=0)


def _paper(axes: Axes, paper: dict[str, Any]) -> None:
    for level in (0, 1):
        axes.axhline(level, color="#000000", lw=0.7, ls=(0, (1, 2)))
    for j, method in enumerate(("sdft", "sft")):
        colour, marker = LOOKS[method]
        for k, value in enumerate(paper[method]):
            low, high = value if isinstance(value, list) else (value, value)
            at = k + 0.2 * (j - 0.5)
            axes.plot([at, at], [low, high], color=colour, lw=2.5, alpha=0.55)
            axes.plot(at, (low + high) / 2, marker, color=colour, alpha=0.7, ms=6)
    axes.set_xticks(range(len(paper["order"])), [TASK_NAMES[task] for task in paper["order"]])
    axes.set_xlim(-0.5, len(paper["order"]) - 0.5)
    axes.set_ylim(LOW, HIGH)
    axes.set_ylabel("normalised")
    paper_panel(axes, "the paper's plot, at the end (ranges as read)")
