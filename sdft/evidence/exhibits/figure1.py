"""Figure 1: the new task against prior capabilities, as an average over the tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sdft.evidence.names import METHOD_NAMES, PRIOR
from sdft.evidence.outcomes import Cell, Results
from sdft.evidence.published import document, lookup
from sdft.evidence.quantities import done, finite, groups, quantity, within
from sdft.evidence.rules import LEVEL
from sdft.statistics import average_interval

# Those of the paper's Table 5.
METHODS = ("base", "sft", "dft", "sft_reinvoke", "sdft")


def methods(results: Results) -> list[str]:
    """The paper's methods, then those that Table 5 has beside them."""
    return list(dict.fromkeys((*METHODS, *(cell.method for cell in results.cells if cell.arm == cell.method))))


def figure1(results: Results) -> dict[str, Any]:
    """Points of Figure 1 in percent: ours, and those that follow from the paper's Table 5."""
    points, not_drawn = [], []
    for method in methods(results):
        value = _average(results, method) if results.enabled else None
        if value is None:
            not_drawn.append({"what": METHOD_NAMES[method], "why": "NOT RUN"})
        else:
            points.append({"method": method, **value})
    paper = []
    for method in METHODS:
        cells = [
            [lookup("table5", task, method, metric) for metric in ("new_task", "prior_average")]
            for task in document()["items"]["table5"]["rows"]
        ]
        if all(entry for pair in cells for entry in pair):
            means = np.mean([[entry.value for entry in pair] for pair in cells], axis=0)
            new, prior = (round(float(value), 3) for value in means)
            paper.append({"method": method, "new_task": new, "prior_average": prior})
    return {"unit": "percent", "tasks": results.tasks, "points": points, "paper": paper, "not_drawn": not_drawn}


def _average(results: Results, method: str) -> dict[str, Any] | None:
    """New task and prior average over all tasks, on the seeds that have every one of them."""
    cells: list[Cell | None] = [results.cell(task, method) for task in results.tasks]
    if not cells or None in cells:
        return None
    seeds = None
    for cell in cells:
        wanted = [quantity("new_task", cell.task), quantity("prior_average", cell.task)]
        found = {run.seed for run in cell.runs if all(run in done(cell, measured) for measured in wanted)}
        seeds = found if seeds is None else seeds & found
    if not seeds:
        return None
    runs = [[run for run in cell.runs if run.seed in seeds] for cell in cells]
    new = [groups(own, quantity("new_task", cell.task))[0] for own, cell in zip(runs, cells, strict=True)]
    # The prior benchmarks have the same items after every task, so an item's outcome is its mean over the tasks.
    prior = []
    for name in PRIOR:
        found = [groups(own, quantity(name, ""))[0] for own in runs]
        prior.append(replace(found[0], values=np.mean([group.values for group in found], axis=0)))
    result = {}
    for metric, outcomes in (("new_task", new), ("prior_average", prior)):
        interval = within(average_interval(outcomes, LEVEL), 0.0, 1.0).scaled(100)
        by_seed = 100 * np.mean([group.mean(axis=1) for group in outcomes], axis=0)
        result[metric] = {
            **{"mean": finite(interval.mean), "low": finite(interval.low), "high": finite(interval.high)},
            **{"by_seed": [round(float(x), 3) for x in by_seed], "n_seeds": interval.n, "n_items": interval.n_items},
        }
    return {**result, "seeds": sorted(seeds), "runs": [run.name for own in runs for run in own]}
