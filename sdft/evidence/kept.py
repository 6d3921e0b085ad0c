"""How many prior benchmarks a model has kept: those that it has lost at most a point of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sdft.evidence.names import PRIOR

# What a prior benchmark may lose and still count as kept, in percentage points.
KEPT_POINTS = 1.0


def kept_share(changes: Sequence[float]) -> float:
    """The share of benchmarks that lost at most KEPT_POINTS; changes: model minus base in points, at least one."""
    return sum(change >= -KEPT_POINTS for change in changes) / len(changes)


def kept_benchmarks(rows: Iterable[Mapping[str, Any]], task: str, arm: str) -> tuple[int, int] | None:
    """Of Table 5's rows of an arm after a task, how many prior benchmarks its means keep of the base model's, and of
    how many; None for the base model itself and where a score is missing."""
    means = {(row["arm"], row["metric"]): row["mean"] for row in rows if row["task"] == task}
    pairs = [(means.get((arm, name)), means.get(("base", name))) for name in PRIOR]
    if arm == "base" or any(value is None for pair in pairs for value in pair):
        return None
    return round(kept_share([ours - base for ours, base in pairs]) * len(PRIOR)), len(PRIOR)
