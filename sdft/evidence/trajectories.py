"""Accuracy along training, from trajectory files: {"points": [{"step", "fraction", "tasks": {task: {"value", "n",
"correct": [...], "cluster": [...]}}, "prior": {...}, "prior_average"}]}, one file a run, a point a snapshot.

The last point may have "in_context", of the form of "tasks": accuracy with a demonstration in the prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sdft.evidence.outcomes import Run
from sdft.evidence.quantities import finite, labelled, within
from sdft.evidence.rules import LEVEL
from sdft.statistics import Interval, Outcomes, average_interval

Reader = Callable[[dict[str, Any]], list[float] | float | None]


def task_reader(task: str, part: str = "tasks") -> Reader:
    """Outcomes of a task at a point: one an item, or the value alone where the items are not kept.

    part: "tasks", or "in_context" for those with a demonstration in the prompt.
    """

    def read(point: dict[str, Any]) -> list[float] | float | None:
        record = (point.get(part) or {}).get(task)
        return None if record is None else record.get("correct") or record["value"]

    return read


def prior_reader(point: dict[str, Any]) -> float | None:
    """The prior average at a point, where it was measured."""
    return point.get("prior_average")


def clusters(run: Run, task: str) -> list[str] | None:
    """What each item of a task at a run's points is about; None where the file does not say."""
    record = run.measurement("trajectory")
    own = ((record["points"][-1].get("tasks") or {}).get(task) or {}) if record and record["points"] else {}
    return own.get("cluster") or None


def outcomes(values: Sequence[list[float] | float], runs: Sequence[Run], task: str | None) -> Outcomes:
    """[runs, items] where every value is a list of as many outcomes; else [runs, 1] with each run's mean."""
    if all(isinstance(value, list) for value in values) and len({len(value) for value in values}) == 1:
        return labelled(values, runs, [clusters(run, task) for run in runs] if task else None)
    return labelled([[float(np.mean(value))] for value in values], runs)


def spread(values: Sequence[list[float] | float], runs: Sequence[Run], task: str | None) -> Interval:
    """Interval over seeds, and over items where every value is a list of as many outcomes; cut to 0..1."""
    return within(average_interval([outcomes(values, runs, task)], LEVEL), 0.0, 1.0)


def curve(runs: Sequence[Run], read: Reader, task: str | None = None) -> list[dict[str, Any]]:
    """Mean and interval in percent at each point that the runs share, by fraction of the run; empty if none was run."""
    files = [(run, record) for run in runs if (record := run.measurement("trajectory"))]
    by_fraction: dict[float, list[tuple[Run, int, list[float] | float]]] = {}
    for run, record in files:
        for point in record["points"]:
            value = read(point)
            if value is not None:
                found = (run, int(point["step"]), value)
                by_fraction.setdefault(round(float(point["fraction"]), 4), []).append(found)
    points = []
    for fraction, found in sorted(by_fraction.items()):
        if len(found) == len(files):
            values, own = [value for _, _, value in found], [run for run, _, _ in found]
            points.append({"fraction": fraction, "step": found[0][1], **summary(values, own, task)})
            points[-1]["seeds"] = [run.seed for run in own]
    return points


def summary(values: Sequence[list[float] | float], runs: Sequence[Run], task: str | None) -> dict[str, Any]:
    """Mean, interval and each run's value, in percent."""
    interval = spread(values, runs, task).scaled(100)
    return {
        "mean": finite(interval.mean),
        "low": finite(interval.low),
        "high": finite(interval.high),
        "by_seed": [round(100 * float(np.mean(value)), 3) for value in values],
        "n_seeds": interval.n,
        "n_items": interval.n_items,
    }


def last(run: Run, read: Reader) -> list[float] | float | None:
    """The value at the end of a run's trajectory; None where it was not run."""
    record = run.measurement("trajectory")
    return read(record["points"][-1]) if record and record["points"] else None
