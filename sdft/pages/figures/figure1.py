"""Figure 1: the measured. Off-policy training moves down and to the right, on-policy training to the right."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sdft.evidence.exhibits import figure1 as measured
from sdft.evidence.names import METHOD_NAMES, TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.pages.figures.style import LOOKS, counted, ends, gap, notice, opening, page_not_run, paper_panel


def figure1(results: Results) -> tuple[Figure, dict[str, Any]]:
    """New task against prior average as means over the tasks; arrows lead from the base model to each method."""
    if not results.enabled:
        return page_not_run(results, "figure1")
    numbers = measured.figure1(results)
    figure, (ours, papers) = plt.subplots(1, 2, figsize=(7.4, 3.5), layout="constrained", width_ratios=[1.6, 1])
    points = {point["method"]: point for point in numbers["points"]}
    if points:
        flat = {
            method: {axis: point[axis]["mean"] for axis in ("new_task", "prior_average")}
            for method, point in points.items()
        }
        _arrows(ours, flat)
        for method, point in points.items():
            x, y = point["new_task"], point["prior_average"]
            colour, marker = LOOKS[method]
            ours.errorbar(
                x["mean"],
                y["mean"],
                xerr=ends(x),
                yerr=ends(y),
                fmt=marker,
                ms=12 if marker == "*" else 8,
                color=colour,
                mec="white",
                mew=0.8,
                elinewidth=1.1,
                zorder=4,
            )
        ours.margins(0.1)
    else:
        gap(ours)
    names = ", ".join(TASK_NAMES[task] for task in numbers["tasks"])
    ours.set(xlabel="New task (%)", ylabel="Prior capabilities (%)")
    ours.set_title(f"Mean of {names}" if names else "")
    paper = {point["method"]: point for point in numbers["paper"]}
    _arrows(papers, paper)
    for method, point in paper.items():
        colour, marker = LOOKS[method]
        papers.plot(
            point["new_task"], point["prior_average"], marker, ms=9 if marker == "*" else 6, color=colour, mec="white"
        )
    papers.margins(0.14)
    papers.set(xlabel="New task (%)")
    paper_panel(papers, "the paper's Table 5, averaged")
    handles = [
        Line2D([], [], color=LOOKS[name][0], marker=LOOKS[name][1], ms=8, ls="none", label=label)
        for name, label in (
            (name, METHOD_NAMES[name] + ("" if name in points else " (NOT RUN)")) for name in measured.methods(results)
        )
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), handletextpad=0.2)
    figure.supxlabel(notice(results), fontsize=8, color="#555555")
    values = [point["new_task"] for point in points.values()]
    caption = (
        f"{opening(results, 'figure1')} Accuracy on the new task against the average of the six prior benchmarks, both "
        f"as means over {names or 'the tasks'}, selected models; {counted(values)} of the new tasks; bars are 95 % "
        "intervals over seeds and items. Arrows lead from the base model. Right: the same from the paper's Table 5; "
        "its Figure 1 prints no numbers."
    )
    return figure, {"caption": caption, **numbers}


def _arrows(axes: Axes, points: dict[str, dict[str, float]]) -> None:
    base = points.get("base")
    for method, point in points.items():
        if method != "base" and base:
            axes.annotate(
                "",
                (point["new_task"], point["prior_average"]),
                (base["new_task"], base["prior_average"]),
                arrowprops={"arrowstyle": "->", "color": LOOKS[method][0], "lw": 1.2, "shrinkA": 5, "shrinkB": 6},
            )
