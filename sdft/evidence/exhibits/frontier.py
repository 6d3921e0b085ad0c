"""Statistics of a whole sweep: each is one number a run (a base model and a seed), whatever candidate was chosen.

A candidate is a point: accuracy on the new task's validation split, and the prior average. Of one run's points:

- area: what they dominate, as a share of the unit square, (0, 0) being the reference (the hypervolume indicator of
  Zitzler and Thiele 1999, in two dimensions);
- prior at 50 % and at 80 %: the highest prior average among candidates at least so good at the new task; none where no
  candidate is.

And of all runs together: the gentlest candidate whose score is within one standard error of the best, the rule of
Breiman et al. (1984) for choosing among models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdft.common.files import read_json
from sdft.evidence.outcomes import Cell, Results
from sdft.evidence.quantities import Comparison, of_matrices
from sdft.methods.hyperparameters import tie_key
from sdft.statistics import Outcomes

LEVELS = (0.5, 0.8)


@dataclass(frozen=True)
class Sweep:
    """An arm's sweep on a task: candidates' scores and prior averages [candidates, runs], and the runs' base models."""

    arm: str
    method: str
    values: list[dict[str, Any]]
    scores: np.ndarray
    priors: np.ndarray
    seeds: tuple[int, ...]
    bases: tuple[str, ...]


def read_sweep(cell: Cell) -> Sweep | None:
    """The sweep behind a cell, from its selection; None where it was not run or measured no prior benchmark."""
    if cell.selected is None or not cell.selected.exists():
        return None
    ranking = [row for row in read_json(cell.selected)["ranking"] if row.get("diverged") is None]
    rows = [row for row in ranking if row.get("prior_by_run") and None not in row["prior_by_run"]]
    if not rows:
        return None
    return Sweep(
        cell.arm,
        cell.method,
        [row["hyperparameters"] for row in rows],
        np.array([row["by_run"] for row in rows], dtype=float),
        np.array([row["prior_by_run"] for row in rows], dtype=float),
        tuple(rows[0]["seeds"]),
        tuple(rows[0]["bases"]),
    )


def area(scores: np.ndarray, priors: np.ndarray) -> float:
    """Share of the unit square that the points (scores, priors) dominate."""
    total, best = 0.0, 0.0
    for place in np.argsort(-scores):
        if priors[place] > best:
            total += scores[place] * (priors[place] - best)
            best = priors[place]
    return float(total)


def prior_at(level: float) -> Callable[[np.ndarray, np.ndarray], float]:
    """The highest prior average among points whose score is at least `level`; not a number where there is none."""

    def highest(scores: np.ndarray, priors: np.ndarray) -> float:
        return float(max(priors[scores >= level], default=math.nan))

    return highest


MEASURES: dict[str, tuple[str, Callable[[np.ndarray, np.ndarray], float]]] = {
    "area": ("Dominated area", area),
    **{f"prior_at_{level:.0%}": (f"Prior average at {level:.0%} right", prior_at(level)) for level in LEVELS},
}


def by_run(sweep: Sweep, measure: str) -> np.ndarray:
    """A measure of each run, in percent."""
    found = MEASURES[measure][1]
    return 100 * np.array([found(sweep.scores[:, run], sweep.priors[:, run]) for run in range(len(sweep.seeds))])


def outcomes(sweep: Sweep, measure: str, runs: Sequence[int]) -> Outcomes:
    """A measure as outcomes [runs, 1] of some runs."""
    return Outcomes(by_run(sweep, measure)[list(runs), None], tuple(sweep.bases[run] for run in runs))


def difference(one: Sweep, other: Sweep, measure: str) -> Comparison:
    """`one` minus `other` on the seeds where both have the measure."""
    found = [dict(zip(sweep.seeds, by_run(sweep, measure), strict=True)) for sweep in (one, other)]
    seeds = [seed for seed in one.seeds if all(math.isfinite(side.get(seed, math.nan)) for side in found)]
    if not seeds:
        return Comparison(measure)
    pair = [outcomes(sweep, measure, [sweep.seeds.index(seed) for seed in seeds]) for sweep in (one, other)]
    return of_matrices(measure, pair[:1], pair[1:], seeds, factor=1.0)


def gentlest(sweep: Sweep) -> dict[str, Any]:
    """The gentlest candidate within one standard error of the best: its values, score and prior average in percent.

    The standard error is that of the best one's mean over runs; with one run it is the best itself.
    """
    means = sweep.scores.mean(axis=1)
    best, runs = int(means.argmax()), sweep.scores.shape[1]
    error = float(sweep.scores[best].std(ddof=1) / math.sqrt(runs)) if runs > 1 else 0.0
    near = [place for place in range(len(means)) if means[place] >= means[best] - error]
    place = min(near, key=lambda place: tie_key(sweep.values[place]))
    return {
        "hyperparameters": sweep.values[place],
        "new_task": round(100 * float(means[place]), 3),
        "prior_average": round(100 * float(sweep.priors[place].mean()), 3),
    }


def sweeps(results: Results, task: str) -> dict[str, Sweep]:
    """The sweeps on a task that are there, by arm."""
    own = {cell.arm: read_sweep(cell) for cell in results.cells if cell.task == task}
    return {arm: sweep for arm, sweep in own.items() if sweep is not None}
