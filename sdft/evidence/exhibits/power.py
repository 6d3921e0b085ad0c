"""What designs can decide: spreads of SDFT minus SFT between base models and seeds, from the sweep's own runs.

The chosen candidates of both arms were trained with every seed of the sweep and scored on validation; no final run and
no test set is looked at. The spread of their differences goes into sdft/evidence/power.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sdft.evidence.exhibits.frontier import Sweep, sweeps
from sdft.evidence.outcomes import Results
from sdft.evidence.power import smallest_difference
from sdft.evidence.quantities import finite
from sdft.statistics import READINGS, Outcomes, variance_components

# Base models and seeds each.
DESIGNS = ((3, 1), (3, 3), (4, 2), (5, 1), (5, 2), (5, 3), (8, 2))
METRICS = ("new_task", "prior_average")


def _best(sweep: Sweep, metric: str) -> dict[int, float]:
    """A metric of the chosen candidate in percent, by seed."""
    place = int(sweep.scores.mean(axis=1).argmax())
    values = (sweep.scores if metric == "new_task" else sweep.priors)[place]
    return dict(zip(sweep.seeds, 100 * values, strict=True))


def spreads(one: Sweep, other: Sweep, metric: str) -> dict[str, Any]:
    """Mean of `one` minus `other` and its standard deviations between base models and seeds, in points."""
    left, right = _best(one, metric), _best(other, metric)
    seeds = [seed for seed in one.seeds if seed in right]
    values = np.array([[left[seed] - right[seed]] for seed in seeds])
    bases = tuple(one.bases[one.seeds.index(seed)] for seed in seeds)
    return {
        "mean": finite(float(values.mean())),
        "seeds": seeds,
        "bases": list(bases),
        "by_seed": [round(float(value), 3) for value in values[:, 0]],
        "components": variance_components(Outcomes(values, bases)),
    }


def rows(results: Results) -> list[dict[str, Any]]:
    """A row a task and metric: spreads, and the smallest difference of each design in both readings, in points.

    A sweep with one seed a base model cannot tell the two spreads apart; all of it then counts as that between base
    models, and nothing is said on these base models.
    """
    found = []
    for task in results.tasks:
        own = sweeps(results, task)
        if not {"sft", "sdft"} <= set(own):
            continue
        for metric in METRICS:
            spread = spreads(own["sdft"], own["sft"], metric)
            designs = []
            for bases, seeds in DESIGNS:
                known = spread["components"]["seed"] is not None
                smallest = {
                    reading: finite(smallest_difference(spread["components"], 0.0, bases, seeds, reading))
                    for reading in READINGS
                    if known or (reading == "any_base" and spread["components"]["base"] is not None)
                }
                designs.append({"bases": bases, "seeds": seeds, **smallest})
            found.append({"task": task, "metric": metric, **spread, "designs": designs})
    return found
