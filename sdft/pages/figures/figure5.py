"""Figure 5: SDFT against SFT by the size of the model, and pass@k."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sdft.evidence.exhibits import figure5 as measured
from sdft.evidence.names import TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.pages.figures.style import (
    LOOKS,
    counted,
    ends,
    gap,
    missing,
    notice,
    opening,
    page_not_run,
    paper_panel,
)

BUDGETS = {"short": ("#0072b2", "o", "Equal budget"), "long": ("#e69f00", "s", "Longer budget")}
CONTEXT = ("#777777", "D")
LINES = {"sdft": "-", "sft": "--", "base": ":"}


def figure5(results: Results) -> tuple[Figure, dict[str, Any]]:
    """Left: SDFT minus SFT, for two budgets, above how well each size learns in context. Right: pass@k."""
    numbers = measured.figure5(results)
    if not results.enabled:
        return page_not_run(results, "figure5", numbers["claims"])
    figure = plt.figure(figsize=(9.6, 4.6), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=[2.1, 2.1, 0.8], height_ratios=[1.6, 1])
    left, below = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    right, papers = figure.add_subplot(grid[:, 1]), figure.add_subplot(grid[:, 2])
    task, printed = TASK_NAMES[numbers["task"]], TASK_NAMES[numbers["paper_task"]]
    _differences(left, numbers["sizes"], task)
    _context(below, numbers["sizes"])
    _passk(right, numbers["pass_at_k"], task)
    paper = numbers["paper"]["sdft_minus_sft"]
    papers.axhline(0, color="#000000", lw=0.9)
    papers.plot(range(len(paper)), list(paper.values()), "o", color=BUDGETS["short"][0], alpha=0.55)
    for k, value in enumerate(paper.values()):
        papers.annotate(f"{value:+g}", (k, value), (0, 6), textcoords="offset points", ha="center", fontsize=8)
    papers.set_xticks(range(len(paper)), [size.upper() for size in paper])
    papers.margins(0.2)
    papers.set_ylabel(f"{printed}: SDFT - SFT (points)")
    paper_panel(papers, "the paper's plot, left")
    figure.supxlabel(notice(results), fontsize=8, color="#555555")
    values = [value for entry in numbers["sizes"] for value in entry["difference"].values()]
    points = [point for curve in numbers["pass_at_k"] for point in curve["points"]]
    caption = (
        f"{opening(results, 'figure5')} Left: accuracy of SDFT minus SFT on {task} by the size of the base model, "
        f"paired by item and seed, with equal budgets of steps and with a longer one; {counted(values)}. Below: how "
        "well each size learns in context, its accuracy with a demonstration minus that without. Middle: pass@k at "
        "temperature 1.0 and top-p 0.95, the unbiased estimate averaged over items; "
        f"{counted(points) if points else 'NOT RUN'}. Bars are 95 % intervals over seeds and items, small "
        f"dots are seeds. Right: the paper's values on {printed}, read off its plot; for "
        "pass@k it prints none (SDFT > SFT > base)."
    )
    return figure, {"caption": caption, **numbers}


def _sizes(axes: Axes, entries: list[dict[str, Any]]) -> None:
    axes.set_xticks(range(len(entries)), [entry["size"] for entry in entries])
    axes.set_xlim(-0.5, len(entries) - 0.5)
    axes.axhline(0, color="#000000", lw=0.9)


def _differences(axes: Axes, entries: list[dict[str, Any]], task: str) -> None:
    if not any(value for entry in entries for value in entry["difference"].values()):
        axes.set(title="SDFT minus SFT")
        gap(axes)
        return
    _sizes(axes, entries)
    for j, (budget, (colour, marker, _)) in enumerate(BUDGETS.items()):
        for k, entry in enumerate(entries):
            value, at = entry["difference"][budget], k + 0.24 * (j - 0.5)
            if value is None:
                if budget == "short" or any(f"{method}.long" in entry["accuracy"] for method in ("sft", "sdft")):
                    missing(axes, at)
                continue
            seeds = value["by_seed"]
            axes.plot([at + 0.07] * len(seeds), seeds, marker, ms=2.8, color=colour, alpha=0.6, mew=0)
            axes.errorbar(at, value["mean"], yerr=ends(value), fmt=marker, color=colour, ms=7, mec="white", capsize=3)
    axes.set_ylabel(f"{task}:\nSDFT - SFT (points)")
    handles = [Line2D([], [], color=c, marker=m, ls="none", ms=7, label=name) for c, m, name in BUDGETS.values()]
    # Above the axes, in the place of a title, since intervals may fill them.
    axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 0.99), ncols=2, columnspacing=1)


def _context(axes: Axes, entries: list[dict[str, Any]]) -> None:
    axes.set(title="Learning in context")
    if not any(entry["in_context"] for entry in entries):
        gap(axes)
        return
    _sizes(axes, entries)
    for k, entry in enumerate(entries):
        value = entry["in_context"]
        if value is None:
            missing(axes, k)
            continue
        axes.errorbar(
            k, value["mean"], yerr=ends(value), fmt=CONTEXT[1], color=CONTEXT[0], ms=6.5, mec="white", capsize=3
        )
    axes.set(xlabel="Size of the base model", ylabel="with - without\ndemonstration (points)")
    axes.margins(y=0.15)


def _passk(axes: Axes, curves: list[dict[str, Any]], task: str) -> None:
    axes.set(title="pass@k")
    if not curves:
        gap(axes)
        return
    # Intervals as bars that stand beside each other: bands would lie over one another.
    for place, curve in enumerate(curves):
        colour, marker = LOOKS[curve["method"]]
        at = [point["k"] * 2 ** (0.16 * (place - (len(curves) - 1) / 2)) for point in curve["points"]]
        means = [point["mean"] for point in curve["points"]]
        lengths = [[length[0] for length in side] for side in zip(*map(ends, curve["points"]), strict=True)]
        axes.errorbar(
            at,
            means,
            yerr=lengths,
            fmt=marker,
            ls=LINES[curve["method"]],
            color=colour,
            ms=5,
            elinewidth=0.8,
            capsize=2,
            label=curve["label"],
        )
    absent = [name for method, name in measured.METHODS if method not in {curve["method"] for curve in curves}]
    if absent:
        axes.plot([], [], " ", label=f"NOT RUN: {', '.join(absent)}")
    axes.set_xscale("log", base=2)
    ticks = [point["k"] for point in max((curve["points"] for curve in curves), key=len)]
    axes.set_xticks(ticks, list(map(str, ticks)))
    axes.minorticks_off()
    axes.set(xlabel="k (samples)", ylabel=f"{task} solved by one of k (%)")
    axes.legend(loc="lower right", handlelength=3)
