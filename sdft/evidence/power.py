"""How many base models and seeds would decide a test, from the spread that runs have shown.

A difference d between the means of B base models with S seeds each has the standard error  sqrt(seed^2 / (B S))  on
these base models and  sqrt((base^2 + seed^2 / S) / B)  for any base model; the choice of test items adds its own. A
design has enough power where the distance to the edge that decides is at least

    half-width of the 95 % interval + the 80 % quantile of the estimate's error,

the half-width being that of sdft/statistics.py. The spread is estimated from few runs itself, so the numbers are rough.
"""

from __future__ import annotations

import math
from typing import Any

from scipy import special

from sdft.evidence.rules import LEVEL
from sdft.statistics import READINGS, t_quantile

POWER = 0.8
# Designs beyond that many runs are "more than can be run".
MOST = 200


def smallest_difference(
    components: dict[str, float | None],
    se_items: float,
    bases: int,
    seeds: int,
    reading: str = READINGS[0],
    df_items: int = 10_000,
    level: float = LEVEL,
    power: float = POWER,
) -> float:
    """The smallest distance to an edge that `bases` base models with `seeds` seeds each decide with `power`.

    components: standard deviations between base models and between seeds, in the unit of the result; None counts as 0.
    Infinite where the reading has no degree of freedom.
    """
    base, seed = components.get("base") or 0.0, components.get("seed") or 0.0
    if reading == "these_bases":
        error, freedom = seed / math.sqrt(bases * seeds), bases * (seeds - 1)
    else:
        error, freedom = math.sqrt((base**2 + seed**2 / seeds) / bases), bases - 1
    if freedom < 1:
        return math.inf
    half = math.hypot(t_quantile((1 - level) / 2, freedom) * error, t_quantile((1 - level) / 2, df_items) * se_items)
    return half + float(special.ndtri(power)) * math.hypot(error, se_items)


def seeds_needed(
    components: dict[str, float | None], se_items: float, bases: int, distance: float, df_items: int = 10_000
) -> int | None:
    """Seeds a base model that decide a test on these base models; None where no number up to MOST runs does."""
    for seeds in range(2, MOST // max(bases, 1) + 1):
        if smallest_difference(components, se_items, bases, seeds, df_items=df_items) <= distance:
            return seeds
    return None


def bases_needed(
    components: dict[str, float | None], se_items: float, seeds: int, distance: float, df_items: int = 10_000
) -> int | None:
    """Base models with `seeds` seeds each that decide a test for any base model; None where MOST runs do not."""
    for bases in range(2, MOST // max(seeds, 1) + 1):
        if smallest_difference(components, se_items, bases, seeds, "any_base", df_items) <= distance:
            return bases
    return None


def items_suffice(se_items: float, distance: float, df_items: int) -> bool:
    """Whether a test could be decided by runs that do not differ at all: else only more items would help."""
    return smallest_difference({}, se_items, 2, 2, df_items=df_items) <= distance


def needed(interval: Any, components: dict[str, float | None], distance: float | None) -> dict[str, int] | None:
    """{"bases", "seeds"} of the smallest design that decides a test in its interval's reading; None if none does."""
    if distance is None or not distance > 0:
        return None
    bases, known = interval.n_bases, max(interval.df_items, 1)
    seeds = max(round(interval.n / bases), 1)
    if interval.n_sets == interval.n > 1:
        return _more_runs(interval, components, seeds, distance)
    if interval.reading == "these_bases":
        found = seeds_needed(components, interval.se_items, bases, distance, known)
        if found is not None:
            return {"bases": bases, "seeds": found}
        return _more_sets(interval, components, seeds, distance) if interval.n_sets > 1 else None
    # A single seed a base model cannot tell the two spreads apart, so what is seen counts as that of base models.
    spread = components if components.get("seed") is not None else {"base": interval.se_seeds * math.sqrt(bases)}
    found = bases_needed(spread, interval.se_items, seeds, distance, known)
    return None if found is None else {"bases": found, "seeds": seeds}


def _more_runs(
    interval: Any, components: dict[str, float | None], seeds: int, distance: float
) -> dict[str, int] | None:
    """The fewest runs that decide a test where each brings a test set of its own: more seeds, or base models."""
    fixed = interval.reading == "these_bases"
    spread = components if components.get("seed") is not None else {"base": interval.se_seeds * math.sqrt(interval.n)}
    for count in range(2, MOST // (interval.n_bases if fixed else seeds) + 1):
        design = {"bases": interval.n_bases, "seeds": count} if fixed else {"bases": count, "seeds": seeds}
        share = design["bases"] * design["seeds"] / interval.n
        error, freedom = interval.se_items / math.sqrt(share), max(round(interval.df_items * share), 1)
        if smallest_difference(spread, error, **design, reading=interval.reading, df_items=freedom) <= distance:
            return design
    return None


def _more_sets(
    interval: Any, components: dict[str, float | None], seeds: int, distance: float
) -> dict[str, int] | None:
    """More base models, of which each brings a test set of its own, that decide a test on these base models."""
    for bases in range(interval.n_bases + 1, MOST // seeds + 1):
        share = bases / interval.n_bases
        error, freedom = interval.se_items / math.sqrt(share), round(interval.df_items * share)
        if smallest_difference(components, error, bases, seeds, df_items=max(freedom, 1)) <= distance:
            return {"bases": bases, "seeds": seeds}
    return None
