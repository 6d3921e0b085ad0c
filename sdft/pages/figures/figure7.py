"""Figure 7: what the teacher's context holds, on Knowledge."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sdft.evidence.exhibits import figure7 as measured
from sdft.evidence.names import MEASURE_NAMES
from sdft.evidence.outcomes import Results
from sdft.pages.figures.style import bar, counted, gap, missing, notice, opening, page_not_run, paper_panel

LOOK = {"strict": ("#0072b2", ""), "lenient": ("#56b4e9", "//"), "ood": ("#e69f00", "..")}


def figure7(results: Results) -> tuple[Figure, dict[str, Any]]:
    """Groups of bars: answer alone, text alone, both; strict, lenient where that differs, out of distribution."""
    numbers = measured.figure7(results)
    if not results.enabled:
        return page_not_run(results, "figure7", numbers["claims"])
    figure, (ours, papers) = plt.subplots(1, 2, figsize=(7.6, 3.2), layout="constrained", width_ratios=[2.3, 1])
    bars = numbers["bars"]
    # A judge that knows no partly right answer gives the strict accuracy twice.
    run = [entry for entry in bars if entry.get("strict")]
    same = bool(run) and all(entry["lenient"] == entry["strict"] for entry in run)
    looks = {metric: look for metric, look in LOOK.items() if metric != "lenient" or not same}
    values = [entry.get(metric) for entry in bars for metric in looks]
    if any(values):
        for k, entry in enumerate(bars):
            if not any(entry.get(metric) for metric in looks):
                missing(ours, k)
                continue
            for j, (metric, (colour, hatch)) in enumerate(looks.items()):
                at = k + 0.27 * (j - (len(looks) - 1) / 2)
                if entry.get(metric):
                    bar(ours, at, entry[metric], colour, hatch, width=0.25)
                else:
                    missing(ours, at)
        ours.set_xticks(range(len(bars)), [entry["label"] for entry in bars])
        ours.set_xlim(-0.5, len(bars) - 0.5)
        ours.set_ylim(0, 105)
        handles = [
            Patch(facecolor=c, alpha=0.75, hatch=h, edgecolor="white", label=MEASURE_NAMES[m])
            for m, (c, h) in looks.items()
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=3)
    else:
        gap(ours)
    ours.set(ylabel="Knowledge, accuracy (%)")
    papers.bar(range(len(bars)), [entry["paper"] for entry in bars], 0.5, color=LOOK["strict"][0], alpha=0.45)
    for k, entry in enumerate(bars):
        papers.annotate(
            f"{entry['paper']:g}", (k, entry["paper"]), (0, 2), textcoords="offset points", ha="center", fontsize=8
        )
    papers.set_xticks(range(len(bars)), [entry["label"].replace(" ", "\n", 1) for entry in bars])
    papers.set_ylim(0, 105)
    paper_panel(papers, "the paper's numbers (strict)")
    figure.supxlabel(notice(results), fontsize=8, color="#555555")
    caption = (
        f"{opening(results, 'figure7')} SDFT on Knowledge with three contents of the teacher's context. "
        f"{'Lenient accuracy is the strict one, since the judge knows no partly right answer. ' if same else ''}"
        f"{counted(values)}; bars are 95 % intervals over seeds and items, dots are seeds. Right: the "
        "paper's numbers; the prose of its appendix A.2 orders the first two the other way round."
    )
    return figure, {"caption": caption, **numbers}
