"""Figure 3: one model through several tasks, raw and normalised, with the accuracy matrix and transfers."""

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

TRANSFERS = {"backward": "Backward\ntransfer", "forward": "Forward\ntransfer", "forgetting": "Forgetting"}


def figure3(results: Results) -> tuple[Figure, dict[str, Any]]:
    """Two rows an order: raw curves, prior average and SDFT's matrix; normalised curves, transfers and SFT's matrix."""
    numbers = measured.figure3(results)
    if not results.enabled:
        return page_not_run(results, "figure3", numbers["claims"])
    panels = numbers["panels"] or [{"order": numbers["paper"]["order"], "arms": {}, "scales": {}}]
    figure = plt.figure(figsize=(13.2, 5.4 * len(panels) + 2.6), layout="constrained")
    grid = figure.add_gridspec(2 * len(panels) + 1, 4, height_ratios=[*([1.0] * 2 * len(panels)), 0.7])
    arms = [(arm, name, method) for arm, name, method in measured.ARMS]
    for k, panel in enumerate(panels):
        rows = [[figure.add_subplot(grid[2 * k + r, c]) for c in range(4)] for r in range(2)]
        for c, (arm, name, _) in enumerate(arms):
            numbers_of = panel["arms"].get(arm)
            _curves(rows[0][c], panel, numbers_of, f"{name}, accuracy (%)", normalised=False)
            _curves(rows[1][c], panel, numbers_of, f"{name}, normalised", normalised=True)
            _matrix(rows[c][3], panel, numbers_of, f"{name}: accuracy after each stage (%)")
        for row in rows:
            _share(row[0], row[1])
        _prior(rows[0][2], panel, arms)
        _transfers(rows[1][2], panel, arms)
        words = " \N{RIGHTWARDS ARROW} ".join(TASK_NAMES[task] for task in panel["order"])
        rows[0][0].text(0, 1.17, words, transform=rows[0][0].transAxes, fontsize=12, weight="bold")
    _paper(figure, grid[2 * len(panels), :2], numbers["paper"])
    tasks = dict.fromkeys(task for panel in panels for task in panel["order"])
    handles = [
        Line2D([], [], color=TASK_LOOKS[t][0], marker=TASK_LOOKS[t][1], ls=TASK_LOOKS[t][2], label=TASK_NAMES[t])
        for t in tasks
    ]
    handles += [Line2D([], [], color=LOOKS[method][0], marker=LOOKS[method][1], label=name) for _, name, method in arms]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), handlelength=3)
    figure.supxlabel(notice(results), fontsize=8, color="#555555")
    points = [
        point
        for panel in numbers["panels"]
        for arm in panel["arms"].values()
        for name, curve in arm["curves"].items()
        if name != "prior_average"
        for point in curve
    ]
    caption = (
        f"{opening(results, 'figure3')} One model trained on several tasks in turn, in {len(numbers['panels'])} "
        f"orders, measured on every task along the way; {counted(points)}, bands, bars and brackets are 95 % intervals "
        "over seeds and items, those of the prior average over seeds alone. Normalised: 0 is the base model, 1 the "
        "best mean that either method reaches on the task in that order. Backward transfer: end minus after the task's "
        "own stage; forward transfer: before its own stage minus base; forgetting: the best earlier stage minus the "
        "end; each a mean over tasks. Lowest row: the paper's normalised values at the end, read off its plot."
    )
    if "medical" in tasks:
        caption += " Medical answers along the way are scored by the offline judge at every scale."
    return figure, {"caption": caption, **numbers}


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


def _matrix(axes: Axes, panel: dict[str, Any], arm: dict[str, Any] | None, title: str) -> None:
    axes.set_title(title)
    matrix = arm and arm["matrix"]
    if not matrix:
        gap(axes)
        return
    values = [[cell["mean"] for cell in row] for row in matrix]
    axes.imshow(values, cmap="Greys", vmin=0, vmax=160, aspect="auto")
    for i, row in enumerate(matrix):
        for j, cell in enumerate(row):
            shown = value_text(cell, "z.0f", "\n")
            axes.text(j, i, shown, ha="center", va="center", weight="bold" if i - 1 == j else "normal")
    axes.set_xticks(range(len(panel["order"])), [TASK_NAMES[task] for task in panel["order"]])
    axes.set_yticks(range(len(matrix)), ["Base", *(f"after {TASK_NAMES[task]}" for task in panel["order"])])
    axes.grid(False)
    axes.tick_params(length=0)


def _paper(figure: Figure, place: Any, paper: dict[str, Any]) -> None:
    axes = figure.add_subplot(place)
    axes.axhline(0, color="#000000", lw=0.7, ls=(0, (1, 2)))
    for j, method in enumerate(("sdft", "sft")):
        colour, marker = LOOKS[method]
        for k, value in enumerate(paper[method]):
            low, high = value if isinstance(value, list) else (value, value)
            at = k + 0.2 * (j - 0.5)
            axes.plot([at, at], [low, high], color=colour, lw=2.5, alpha=0.55)
            axes.plot(at, (low + high) / 2, marker, color=colour, alpha=0.7, ms=6)
    axes.set_xticks(range(len(paper["order"])), [TASK_NAMES[task] for task in paper["order"]])
    axes.set_xlim(-0.5, len(paper["order"]) - 0.5)
    axes.set_ylabel("normalised")
    paper_panel(axes, "the paper's plot, at the end (ranges as read)")
