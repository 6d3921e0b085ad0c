"""Figures 6 and 8 look alike: bars at the end beside the paper's, and below them a panel an arm along training."""

from __future__ import annotations

from textwrap import fill
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
BASE_LINE: dict[str, Any] = {"color": QUIET, "lw": 0.9, "ls": (0, (2, 2))}
# Letters on a line of a name below a bar or above a panel.
LETTERS = 18


def draw(results: Results, numbers: dict[str, Any], looks: Looks) -> Figure:
    """A figure of some arms. Arms without a value keep their place, marked NOT RUN."""
    arms = numbers["arms"]
    figure = plt.figure(figsize=(8.4, 7.6), layout="constrained")
    grid = figure.add_gridspec(3, 2 * len(arms), height_ratios=[1.25, 1, 1])
    ours, papers = figure.add_subplot(grid[0, : len(arms) + 1]), figure.add_subplot(grid[0, len(arms) + 1 :])
    _bars(ours, numbers, looks)
    _paper(papers, numbers, looks)
    for row, metric in ((1, "new_task"), (2, "prior_average")):
        panels = [figure.add_subplot(grid[row, 2 * k : 2 * k + 2]) for k in range(len(arms))]
        _along(panels, numbers, metric, looks)
    if numbers["base"]:
        figure.legend(handles=[Line2D([], [], **BASE_LINE, label="Base model")], loc="outside upper right")
    figure.supxlabel(notice(results), fontsize=8, color=QUIET)
    return figure


def _along(panels: list[Axes], numbers: dict[str, Any], metric: str, looks: Looks) -> None:
    """One panel an arm with its own band, and the other arms behind it as thin lines, on common axes."""
    arms, prior = numbers["arms"], metric == "prior_average"
    name = "Prior average" if prior else TASK_NAMES[numbers["task"]]
    base = numbers["base_prior"] if prior else numbers["base"]
    # A base model that a judge scored is no line beside points that none has.
    if not prior and find_task(numbers["task"]).judged:
        base = None
    drawn = [panel for panel, entry in zip(panels, arms, strict=True) if entry["along"][metric]]
    for panel, entry in zip(panels, arms, strict=True):
        panel.set_title(fill(entry["label"], LETTERS), fontsize=8.5)
        if not entry["along"][metric]:
            gap(panel, "along training:\nNOT RUN")
            continue
        if panel is not drawn[0]:
            panel.sharey(drawn[0])
            panel.tick_params(labelleft=False)
        else:
            panel.set_ylabel(f"{name} (%)")
        for other in arms:
            if other is not entry and other["along"][metric]:
                points = other["along"][metric]
                panel.plot([p["step"] for p in points], [p["mean"] for p in points], color="#b5b5b5", lw=0.8, zorder=1)
        colour, marker, line, _ = looks[entry["arm"]]
        band(panel, entry["along"][metric], "step", colour, marker, line)
        panel.set_xlabel("Step" if prior else "")
        if base:
            panel.axhline(base["mean"], **BASE_LINE)


def _paper(axes: Axes, numbers: dict[str, Any], looks: Looks) -> None:
    shown = [entry for entry in numbers["arms"] if entry["paper"] is not None]
    axes.bar(
        range(len(shown)),
        [entry["paper"] for entry in shown],
        0.6,
        color=[looks[entry["arm"]][0] for entry in shown],
        hatch=[looks[entry["arm"]][3] for entry in shown],
        edgecolor="white",
        alpha=0.45,
    )
    for k, entry in enumerate(shown):
        text = f"~{entry['paper']:g}"
        axes.annotate(text, (k, entry["paper"]), (0, 2), textcoords="offset points", ha="center", fontsize=8)
    axes.set_xticks(range(len(shown)), [fill(entry["label"], 12) for entry in shown], fontsize=6.5)
    axes.set_ylabel(f"{TASK_NAMES[numbers['paper_task']]} (%)")
    axes.margins(y=0.12)
    paper_panel(axes, "the paper's plot, at the end")


def _bars(axes: Axes, numbers: dict[str, Any], looks: Looks) -> None:
    arms = numbers["arms"]
    if not any(entry["new_task"] for entry in arms):
        gap(axes)
        return
    axes.set_xlim(-0.6, len(arms) - 0.4)
    axes.set_xticks(range(len(arms)), [fill(entry["label"], LETTERS) for entry in arms], fontsize=7.5)
    for k, entry in enumerate(arms):
        if entry["new_task"]:
            bar(axes, k, entry["new_task"], looks[entry["arm"]][0], looks[entry["arm"]][3])
        else:
            missing(axes, k)
    if numbers["base"]:
        axes.axhline(numbers["base"]["mean"], **BASE_LINE)
    axes.set_ylabel(f"{TASK_NAMES[numbers['task']]} (%)")
    axes.set_title("At the end, test set")


def ending(numbers: dict[str, Any]) -> str:
    """The rest of a caption: n, intervals, the paper's values."""
    along = [point for entry in numbers["arms"] for point in entry["along"]["new_task"]]
    return (
        f"Top: at the end on the test set, {counted([entry['new_task'] for entry in numbers['arms']])}, beside the "
        f"paper's values on {TASK_NAMES[numbers['paper_task']]}, read off its plot. Below: along training, "
        f"{counted(along) if along else 'NOT RUN'}, a panel an arm, with the other arms' means in grey; the accuracy "
        "on the task, then the average of the prior benchmarks. Bars and bands are 95 % intervals over seeds and "
        "items, those of the prior average over seeds alone; dots are seeds; the dashed line is the base model."
        f"{OFFLINE_ALONG if find_task(numbers['task']).judged else ''}"
    )
