"""Figure 2: what a demonstration in the context is worth, and how far from the base model each model is."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sdft.evidence.exhibits import figure2 as measured
from sdft.evidence.outcomes import Results
from sdft.pages.figures.style import LOOKS, bar, counted, gap, missing, notice, opening, page_not_run, paper_panel

COLOURS = {"base": LOOKS["base"][0], "teacher": "#009e73", "sft": LOOKS["sft"][0], "sdft": LOOKS["sdft"][0]}
HATCHES = {"base": "", "teacher": "//", "sft": "..", "sdft": "\\\\"}


def figure2(results: Results) -> tuple[Figure, dict[str, Any]]:
    """Left: accuracy of the base model without and with a demonstration. Right: KL to base. Below: the paper's."""
    numbers = measured.figure2(results)
    if not results.enabled:
        return page_not_run(results, "figure2", numbers["claims"])
    figure, axes = plt.subplots(1, 4, figsize=(9.2, 3.4), layout="constrained", width_ratios=[1.3, 1.7, 0.7, 0.7])
    solved, nats = numbers["solved"], numbers["nats"]
    _bars(axes[0], solved)
    axes[0].set(ylabel="Tool Use solved (%)", title="Accuracy")
    _bars(axes[1], nats)
    axes[1].set(ylabel="KL to the base model (nats a sequence)", title="Distance from the base model")
    if any(entry["value"] for entry in nats):
        # Below the names, so that a number never covers a bar.
        axes[1].set_xticks(range(len(nats)), list(map(_with_token, nats)))
    for panel, entries in ((axes[2], solved), (axes[3], nats)):
        shown = [entry for entry in entries if entry["paper"] is not None]
        panel.bar(
            range(len(shown)),
            [entry["paper"] for entry in shown],
            0.6,
            color=[COLOURS[entry["key"]] for entry in shown],
            alpha=0.45,
        )
        for k, entry in enumerate(shown):
            panel.annotate(
                f"{entry['paper']:g}", (k, entry["paper"]), (0, 2), textcoords="offset points", ha="center", fontsize=8
            )
        labels = [entry["label"].replace("Base with\ndemonstration", "with\ndemo.") for entry in shown]
        panel.set_xticks(range(len(shown)), [label.replace(" model", "") for label in labels])
        panel.margins(y=0.15)
        panel.set_ylabel("%" if panel is axes[2] else "nats")
        paper_panel(panel)
    figure.supxlabel(notice(results), fontsize=8, color="#555555")
    values = [entry["value"] for entry in (*solved, *nats)]
    caption = (
        f"{opening(results, 'figure2')} Left: accuracy of the base model on Tool Use without and with a demonstration "
        f"in its context, {counted(values[:2])}. Middle: KL(model || base) over whole responses that the model samples "
        "at temperature 1, the teacher with a demonstration in its context, the base model with the question alone; "
        f"{counted(values[2:])}. Bars are means a sequence with 95 % intervals, dots are seeds; below each name stands "
        "the mean a token. Grey panels: the paper's numbers."
    )
    return figure, {"caption": caption, **numbers}


def _with_token(entry: dict[str, Any]) -> str:
    """A bar's name with its nats a token below it."""
    found = entry["value"] and entry["value"]["nats_per_token"]
    return f"{entry['label']}\n({found['mean']:.2f} a token)" if found else entry["label"]


def _bars(axes: Axes, entries: list[dict[str, Any]]) -> None:
    if not any(entry["value"] for entry in entries):
        gap(axes)
        return
    axes.set_xticks(range(len(entries)), [entry["label"] for entry in entries])
    axes.set_xlim(-0.6, len(entries) - 0.4)
    for k, entry in enumerate(entries):
        if entry["value"]:
            bar(axes, k, entry["value"], COLOURS[entry["key"]], HATCHES[entry["key"]])
        else:
            missing(axes, k)
