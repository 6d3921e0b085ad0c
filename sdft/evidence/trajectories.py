"""Accuracy along training, from trajectory files: {"points": [{"step", "fraction", "tasks": {task: {"value", "n",
"correct": [...]}}, "prior": {...}, "prior_average"}]}, one file a run, a point a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sdft.evidence.outcomes import Run
from sdft.evidence.quantities import LEVEL, finite, within
from sdft.statistics import Interval, average_interval, mean_interval

Reader = Callable[[dict[str, Any]], list[float] | float | None]


def task_reader(task: str) -> Reader:
    """Outcomes of a task at a point: one an item, or the value alone where the items are not kept."""

    def read(point: dict[str, Any]) -> list[float] | float | None:
        record = (point.get("tasks") or {}).get(task)
        return None if record is None else record.get("correct") or record["value"]

    return read


def prior_reader(point: dict[str, Any]) -> float | None:
    """The prior average at a point, where it was measured."""
    return point.get("prior_average")


def spread(values: Sequence[list[float] | float]) -> Interval:
    """Interval over seeds, and over items where every value is a list of as many outcomes; cut to 0..1."""
    if all(isinstance(value, list) for value in values) and len({len(value) for value in values}) == 1:
        return average_interval([np.array(values, dtype=float)], LEVEL)
    return within(mean_interval([float(np.mean(value)) for value in values], LEVEL), 0.0, 1.0)


def curve(runs: Sequence[Run], read: Reader) -> list[dict[str, Any]]:
    """Mean and interval in percent at each point that the runs share, by fraction of the run; empty if none was run."""
    files = [(run, record) for run in runs if (record := run.measurement("trajectory"))]
    by_fraction: dict[float, list[tuple[int, int, list[float] | float]]] = {}
    for run, record in files:
        for point in record["points"]:
            value = read(point)
            if value is not None:
                by_fraction.setdefault(round(float(point["fraction"]), 4), []).append(
                    (run.seed, int(point["step"]), value)
                )
    points = []
    for fraction, found in sorted(by_fraction.items()):
        if len(found) == len(files):
            points.append({"fraction": fraction, "step": found[0][1], **summary([value for _, _, value in found])})
            points[-1]["seeds"] = [seed for seed, _, _ in found]
    return points


def summary(values: Sequence[list[float] | float]) -> dict[str, Any]:
    """Mean, interval and each seed's value, in percent."""
    interval = spread(values).scaled(100)
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
