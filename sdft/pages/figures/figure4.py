"""Figure 4: new-task accuracy against the prior average, every trained model a point, one panel a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sdft.common.schema import read_checked
from sdft.evidence.exhibits.table5 import cell_rows
from sdft.evidence.files import Selected
from sdft.evidence.names import METHOD_NAMES, TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.evidence.published import lookup
from sdft.evidence.verdicts import notice
from sdft.learning.files import Candidate
from sdft.pages.figures.style import LOOKS, gap, paper_panel


def _point(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """New task and prior average of a cell's rows, as a point with its intervals; None where either was not run."""
    new, prior = rows[0], rows[-1]
    if new["mean"] is None or prior["mean"] is None:
        return None
    kept = ("mean", "low", "high", "by_seed", "seeds", "n_seeds", "n_items", "runs")
    return {"new_task": {name: new[name] for name in kept}, "prior_average": {name: prior[name] for name in kept}}


def pareto_numbers(results: Results) -> dict[str, Any]:
    """Every number of Figure 4, in percent, a panel a task: base, final runs, sweep candidates, the paper's cells."""
    panels = []
    not_drawn = []
    for task in results.tasks:
        final = []
        for cell in (results.base_cell(task, distinct=True), *(cell for cell in results.cells if cell.task == task)):
            point = _point(cell_rows(results, cell))
            if point is None:
                not_drawn.append({"task": task, "arm": cell.arm, "why": "NOT RUN"})
            else:
                final.append({"arm": cell.arm, "method": cell.method, **point})
        methods = {cell.arm: cell.method for cell in results.cells if cell.task == task}
        selections = {
            cell.arm: read_checked(cell.selected, Selected)
            for cell in results.cells
            if cell.task == task and cell.selected is not None and cell.selected.exists()
        }
        # The selection scores what a candidate replied again where a scorer has changed since.
        ranked = {
            run: row
            for found in selections.values()
            for row in found.get("ranking", [])
            for run in row.get("runs", [row["run"]])
        }
        swept = []
        for entry in (entry for entry in results.exhibit.candidates if entry.task == task):
            if not Path(entry.path).exists():
                not_drawn.append({"task": task, "arm": entry.arm, "why": "NOT RUN", "path": entry.path})
                continue
            record = read_checked(entry.path, Candidate)
            row = ranked.get(record["run"], {**record, "validation": record["validation"]["value"]})
            # A candidate with several seeds is one point, at its mean.
            if row["run"] != record["run"]:
                continue
            if row.get("prior_average") is None:
                why = "not trained to the end" if row.get("stopped") else "no prior average"
                not_drawn.append({"task": task, "arm": entry.arm, "why": why, "run": record["run"]})
                continue
            swept.append(
                {
                    "arm": entry.arm,
                    "method": methods[entry.arm],
                    "run": record["run"],
                    "hyperparameters": record["hyperparameters"],
                    "new_task": round(100 * row["validation"], 3),
                    "prior_average": round(100 * row["prior_average"], 3),
                    "n_validation": record["validation"]["n"],
                    "selected": record["run"] == selections.get(entry.arm, {}).get("winner_run"),
                    **({"stale": row["stale"]} if row.get("stale") else {}),
                }
            )
        paper = {
            method: {"new_task": new.value, "prior_average": prior.value}
            for method in ("base", *dict.fromkeys(methods.values()))
            if (new := lookup("table5", task, method, "new_task"))
            and (prior := lookup("table5", task, method, "prior_average"))
        }
        panels.append({"task": task, "final": final, "candidates": swept, "paper": paper})
    return {"panels": panels, "not_drawn": not_drawn}


def _caption(results: Results, panels: list[dict[str, Any]]) -> str:
    points = [point for panel in panels for point in panel["final"]]
    seeds = sorted({point["new_task"]["n_seeds"] for point in points})
    items = sorted({point["new_task"]["n_items"] for point in points})
    prior = sorted({point["prior_average"]["n_items"] for point in points})
    swept = [candidate for panel in panels for candidate in panel["candidates"]]
    validation = sorted({candidate["n_validation"] for candidate in swept})

    def span(values: list[int]) -> str:
        return " to ".join(map(str, dict.fromkeys((values[0], values[-1])))) if values else "0"

    word = "seed" if seeds == [1] else "seeds"
    return (
        f"Figure 4, scale {results.scale}. {notice(results)} Accuracy on the new task against the average "
        f"of the six prior benchmarks. First row: final runs on the test set, {span(seeds)} {word}, {span(items)} "
        f"new-task and {span(prior)} prior items; lines are 95 % intervals over seeds and items, open markers single "
        f"seeds. Second row, on the same axes: {len(swept)} sweep candidates, one seed each, new task on "
        f"{span(validation)} validation items; a ring marks the selected one. Third row: the paper's own numbers "
        f"(Table 5), arrows from the base model to each method.{_stale(swept)}"
    )


def _stale(swept: list[dict[str, Any]]) -> str:
    """What to say of candidates with prior benchmarks that could not be scored again by the scorers of now."""
    stale = [candidate for candidate in swept if candidate.get("stale")]
    names = sorted({name for candidate in stale for name in candidate["stale"]})
    return f" In {len(stale)} candidates {', '.join(names)} are as an earlier scorer had them." if stale else ""


def _layer(method: str) -> int:
    """The base lies above the methods, since one that leaves the model nearly as it was would cover it."""
    return 6 if method == "base" else 5


def _draw_final(axes: Axes, panel: dict[str, Any]) -> None:
    for point in panel["final"]:
        colour, marker = LOOKS[point["method"]]
        x, y = point["prior_average"], point["new_task"]
        axes.errorbar(
            x["mean"],
            y["mean"],
            xerr=[[x["mean"] - x["low"]], [x["high"] - x["mean"]]],
            yerr=[[y["mean"] - y["low"]], [y["high"] - y["mean"]]],
            fmt="none",
            ecolor=colour,
            alpha=0.45,
            elinewidth=0.9,
            zorder=2,
        )
        size, layer = 13 if marker == "*" else 9, _layer(point["method"])
        axes.plot(x["mean"], y["mean"], marker, ms=size, color=colour, mec="white", mew=0.8, zorder=layer)
        # Upon the mean, which would hide seeds that agree.
        seeds = {"ms": 3.2, "mfc": "white", "mec": colour, "mew": 0.8, "ls": "none", "zorder": layer + 0.5}
        axes.plot(x["by_seed"], y["by_seed"], marker, **seeds)
    axes.set_title(TASK_NAMES[panel["task"]])


def _draw_candidates(axes: Axes, panel: dict[str, Any]) -> None:
    for candidate in panel["candidates"]:
        colour, marker = LOOKS[candidate["method"]]
        x, y = candidate["prior_average"], candidate["new_task"]
        axes.plot(x, y, marker, ms=5, mfc="none", mec=colour, mew=0.9, alpha=0.8, zorder=2)
        if candidate["selected"]:
            # The best candidates lie on the upper edge, which must not cut their rings.
            axes.plot(x, y, "o", ms=11, mfc="none", mec=colour, mew=1.2, zorder=2, clip_on=False)
    if not panel["candidates"]:
        gap(axes)


def _draw_paper(axes: Axes, panel: dict[str, Any]) -> None:
    base = panel["paper"].get("base")
    for method, point in panel["paper"].items():
        colour, marker = LOOKS[method]
        x, y = point["prior_average"], point["new_task"]
        if method != "base" and base:
            axes.annotate(
                "",
                (x, y),
                (base["prior_average"], base["new_task"]),
                arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.0, "shrinkA": 3, "shrinkB": 4},
            )
        axes.plot(
            x, y, marker, ms=9 if marker == "*" else 5.5, color=colour, mec="white", mew=0.5, zorder=_layer(method)
        )
    paper_panel(axes, "the paper's numbers (Qwen2.5-7B)")
    axes.margins(0.14)


def draw_pareto(numbers: dict[str, Any], notice: str = "") -> Figure:
    """Figure 4 in three rows: final runs, sweep candidates, the paper's own numbers; `notice` stands below them."""
    panels = numbers["panels"]
    figure, axes = plt.subplots(
        3,
        len(panels),
        figsize=(3.0 * max(len(panels), 1) + 0.6, 7.2),
        height_ratios=[1.5, 1.2, 1],
        layout="constrained",
        squeeze=False,
    )
    for column, panel in enumerate(panels):
        if panel["candidates"]:
            axes[1, column].sharex(axes[0, column])
            axes[1, column].sharey(axes[0, column])
        _draw_final(axes[0, column], panel)
        _draw_candidates(axes[1, column], panel)
        _draw_paper(axes[2, column], panel)
    for row, name in enumerate(("final runs, test", "candidates, validation", "the paper")):
        axes[row, 0].set_ylabel(f"New task (%)\n{name}")
    figure.supxlabel(f"Average of six prior benchmarks (%)\n{notice}", fontsize=9)
    methods = dict.fromkeys(point["method"] for panel in panels for point in panel["final"] + panel["candidates"])
    handles = [
        Line2D([], [], color=LOOKS[name][0], marker=LOOKS[name][1], ms=8, ls="none", label=METHOD_NAMES[name])
        for name in methods
    ]
    grey = {"color": "#666666", "ls": "none", "marker": "o"}
    handles.append(Line2D([], [], **grey, ms=4.5, mfc="white", label="One seed, or a candidate"))
    handles.append(Line2D([], [], **grey, ms=10, mfc="none", mew=1.2, label="Selected"))
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=4 if len(panels) > 2 else 2 * len(panels),
        columnspacing=1.2,
        handletextpad=0.2,
    )
    return figure


def figure4(results: Results) -> tuple[Figure, dict[str, Any]]:
    """New-task accuracy against the prior average, every trained model a point, one panel a task."""
    numbers = pareto_numbers(results)
    figure = draw_pareto(numbers, results.exhibit.notice)
    return figure, {"caption": _caption(results, numbers["panels"]), "unit": "percent", **numbers}
