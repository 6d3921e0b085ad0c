"""Controls that readers of the paper ask for: a line an arm, what it learnt on the left and what it kept beside it."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sdft.evidence.exhibits.critics import METRICS
from sdft.evidence.exhibits.critics import critics as measure
from sdft.evidence.names import METRIC_NAMES, TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.pages.figures.style import LOOKS, QUIET, counted, ends, notice, opening, page_not_run


def critics(results: Results) -> tuple[Figure, dict[str, Any]]:
    """Two panels of intervals that share their lines."""
    numbers = measure(results)
    if not results.enabled:
        return page_not_run(results, "critics", numbers["claims"])
    values = counted([entry["new_task"] for entry in numbers["arms"]])
    caption = (
        f"{opening(results, 'critics')} Two remedies for SFT, a KL penalty to the base model and replay of general "
        "prompts, each with a sweep of its own; and SDFT with the winner of Table 5, whose teacher is shown the "
        "demonstrations of other rows, or with an anchor to the frozen base. Points are means with 95 % intervals "
        f"over seeds and items, small dots seeds: {values}. The dashed line is the base model."
    )
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.4), layout="constrained", sharey=True)
    for panel, metric in zip(axes, METRICS, strict=True):
        _panel(panel, numbers, metric)
    axes[0].set_yticks(range(len(numbers["arms"])), [entry["label"] for entry in numbers["arms"]])
    axes[0].invert_yaxis()
    figure.supxlabel(notice(results), fontsize=8, color=QUIET)
    return figure, {"caption": caption, **numbers}


def _panel(axes: Axes, numbers: dict[str, Any], metric: str) -> None:
    for place, entry in enumerate(numbers["arms"]):
        value = entry[metric]
        if value is None:
            axes.text(
                0.5, place, "NOT RUN", transform=axes.get_yaxis_transform(), ha="center", va="center", color=QUIET
            )
            continue
        colour, marker = LOOKS["sdft" if entry["arm"].startswith("sdft") else "sft"]
        axes.errorbar(
            value["mean"], place, xerr=ends(value), fmt=marker, color=colour, ms=6, capsize=3, elinewidth=1.2, zorder=3
        )
        seeds = value.get("by_seed") or []
        axes.plot(seeds, [place + 0.25] * len(seeds), "o", ms=2.6, color="#222222", mew=0)
    if base := numbers["base"][metric]:
        axes.axvline(base["mean"], color=QUIET, lw=0.9, ls=(0, (2, 2)))
    name = METRIC_NAMES[metric] if metric == "prior_average" else TASK_NAMES[numbers["task"]]
    axes.set(xlabel=f"{name} (%)", xlim=(-3, 103))
