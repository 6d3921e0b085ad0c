"""Figures 6 and 8 look alike: bars at the end, accuracy and prior average along training, the paper's numbers."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sdft.evidence.names import TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.pages.figures.style import QUIET, band, bar, counted, gap, missing, notice, paper_panel
from sdft.tasks import find_task

OFFLINE_ALONG = " Answers along training are scored by the offline judge at every scale."
Looks = dict[str, tuple[str, str, str, str]]  # arm: colour, marker, line, hatch


def draw(results: Results, numbers: dict[str, Any], looks: Looks) -> Figure:
    """A figure of some arms. Arms without a value keep their place, marked NOT RUN."""
    figure, axes = plt.subplots(1, 4, figsize=(12.4, 3.7), layout="constrained", width_ratios=[1.1, 1.5, 1.5, 0.75])
    arms = numbers["arms"]
    _bars(axes[0], numbers, looks)
    for panel, metric, title in ((axes[1], "new_task", "along training"), (axes[2], "prior_average", "along training")):
        drawn = [entry for entry in arms if entry["along"][metric]]
        for entry in drawn:
            colour, marker, line, _ = looks[entry["arm"]]
            band(panel, entry["along"][metric], "step", colour, marker, line)
        if not drawn:
            gap(panel, "along training: NOT RUN")
        name = "Prior average" if metric == "prior_average" else TASK_NAMES[numbers["task"]]
        panel.set_title(f"{name}, {title}")
        panel.set(ylabel=f"{name} (%)")
        if drawn:
            panel.set_xlabel("Step")
        # A base model that a judge scored is no line beside points that none has.
        if drawn and metric == "new_task" and numbers["base"] and not find_task(numbers["task"]).judged:
            panel.axhline(numbers["base"]["mean"], color=QUIET, lw=0.9, ls=(0, (2, 2)))
    shown = [entry for entry in arms if entry["paper"] is not None]
    axes[3].bar(
        range(len(shown)),
        [entry["paper"] for entry in shown],
        0.6,
        color=[looks[entry["arm"]][0] for entry in shown],
        hatch=[looks[entry["arm"]][3] for entry in shown],
        edgecolor="white",
        alpha=0.45,
    )
    for k, entry in enumerate(shown):
        _under(axes[3], k, looks[entry["arm"]])
        text = f"~{entry['paper']:g}"
        axes[3].annotate(text, (k, entry["paper"]), (0, 2), textcoords="offset points", ha="center", fontsize=8)
    axes[3].set_xticks([])
    axes[3].margins(y=0.12)
    paper_panel(axes[3], "the paper's plot")
    handles = [
        Line2D([], [], color=looks[e["arm"]][0], marker=looks[e["arm"]][1], ls=looks[e["arm"]][2], label=e["label"])
        for e in arms
    ]
    if numbers["base"]:
        handles.append(Line2D([], [], color=QUIET, lw=0.9, ls=(0, (2, 2)), label="Base model"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), handlelength=3)
    figure.supxlabel(notice(results), fontsize=8, color=QUIET)
    return figure


def _bars(axes: Axes, numbers: dict[str, Any], looks: Looks) -> None:
    arms = numbers["arms"]
    if not any(entry["new_task"] for entry in arms):
        gap(axes)
        return
    axes.set_xlim(-0.6, len(arms) - 0.4)
    axes.set_xticks([])
    for k, entry in enumerate(arms):
        _under(axes, k, looks[entry["arm"]])
        if entry["new_task"]:
            bar(axes, k, entry["new_task"], looks[entry["arm"]][0], looks[entry["arm"]][3])
        else:
            missing(axes, k)
    if numbers["base"]:
        axes.axhline(numbers["base"]["mean"], color=QUIET, lw=0.9, ls=(0, (2, 2)))
    axes.set_ylabel(f"{TASK_NAMES[numbers['task']]} (%)")
    axes.set_title("At the end")


def _under(axes: Axes, x: float, look: tuple[str, str, str, str]) -> None:
    """The arm's marker below its bar, so that the legend holds for bars without their colours too."""
    axes.plot(x, -0.05, look[1], color=look[0], ms=6, transform=axes.get_xaxis_transform(), clip_on=False)


def ending(numbers: dict[str, Any]) -> str:
    """The rest of a caption: n, intervals, the paper's values."""
    along = [point for entry in numbers["arms"] for point in entry["along"]["new_task"]]
    return (
        f"At the end on the test set: {counted([entry['new_task'] for entry in numbers['arms']])}; along training: "
        f"{counted(along) if along else 'NOT RUN'}. Bars and bands are 95 % intervals over seeds and items, those of "
        "the prior average over seeds alone; dots are seeds; the dashed line is the base model. Right: the paper's "
        f"values, read off its plot.{OFFLINE_ALONG if find_task(numbers['task']).judged else ''}"
    )
