"""Means, intervals and paired tests over base models, seeds and test items.

An outcome of the run with base model b and seed s on item i is  y = mean + base_b + seed_bs + item_i + interaction.
Two questions can be asked of such runs, and each has an interval of its own (a *reading*):

- `these_bases`: on these base models, whatever the seed. The base models are fixed; the spread of seeds within a base
  model, pooled over B base models with S seeds each, has B (S - 1) degrees of freedom. This is the paper's own
  question, which has one base model and several seeds.
- `any_base`: for any base model of this kind. The B means over seeds are a sample, with B - 1 degrees of freedom; in a
  balanced design that is the restricted maximum likelihood of a random intercept with Kenward and Roger's correction.

Where every base model has one seed, its own spread is not known, and only the second reading is there; with one base
model there is only the first. An estimate is the mean over base models of their means over seeds.

Base models, or runs, may answer items of their own (`Outcomes.sets`: what a task teaches is drawn anew for each). Then
the items of all of them count. Where no two base models share a test set, the spread between base models already holds
the error of choosing items, and where no two runs do, so does the spread of seeds.

Test items are a sample too: `se_items`. The interaction's mean square of the two-way analysis of variance is subtracted
from their spread, which the spread of seeds holds already. Items that ask about one and the same thing are copies, not
a sample, so items are first averaged within their cluster, and clusters are counted.

The two parts are combined as half_width^2 = (t_seeds se_seeds)^2 + (t_items se_items)^2, each with its own t quantile
(Howe 1974; Graybill and Wang 1980): exact when one part vanishes and otherwise slightly wide rather than narrow. A
p-value is one minus the level at which the interval touches zero, so it always agrees with the interval. A permutation
of seeds is no alternative: with three seeds a sign-flip test cannot go below p = 0.25.

With 0/1 outcomes the width, never the mean, is computed with pseudo-items (two right and two wrong ones for a mean,
Agresti and Coull 1998; half a +1 and half a -1 for a paired difference, Agresti and Min 2005), so that a perfect score
does not get an interval of width zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special
from scipy.optimize import brentq

SMALLEST_P = 1e-12
UNBOUNDED = (-math.inf, math.inf)


# The readings of a difference, the one that counts first: the paper asks about its own base model.
READINGS = ("these_bases", "any_base")
Pseudo = Sequence[tuple[float, float]]


def t_quantile(tail: float, freedom: int) -> float:
    """What Student's t exceeds with the probability `tail`, with `freedom` degrees of freedom."""
    return -special.stdtrit(freedom, tail)


@dataclass(frozen=True)
class Outcomes:
    """Outcomes [runs, items] of one test set, with the base model of each run and the cluster of each item.

    bases None: nothing is known of base models, and the runs count as seeds of one. clusters None: every item is its
    own cluster. sets: the test set that each run answered, where they are not the same; clusters then say which places
    of any of them belong together. A difference of two has the labels of both: clusters have to agree where both have
    some, and runs that start from different base models, or answer different test sets, are runs of the pair of them.
    """

    values: np.ndarray
    bases: tuple[str, ...] | None = None
    clusters: tuple[str, ...] | None = None
    sets: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.values)
        named = {"bases": self.bases, "clusters": self.clusters, "sets": self.sets}
        for name, labels in named.items():
            size = shape[-1] if name == "clusters" else shape[0]
            if labels is not None and len(labels) != size:
                raise ValueError(f"{len(labels)} {name} do not label outcomes of shape {shape}")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype) if copy or dtype else self.values

    def __sub__(self, other: Outcomes) -> Outcomes:
        if self.clusters and other.clusters and self.clusters != other.clusters:
            raise ValueError("paired outcomes need the same clusters on both sides")
        bases, sets = _pairs(self.bases, other.bases), _pairs(self.sets, other.sets)
        return Outcomes(self.values - other.values, bases, self.clusters or other.clusters, sets)

    def take(self, items: Any) -> Outcomes:
        """The same outcomes on some of the items, by index or by a mask."""
        clusters = None if self.clusters is None else tuple(np.asarray(self.clusters)[items].tolist())
        return Outcomes(self.values[:, items], self.bases, clusters, self.sets)

    def of_runs(self, runs: slice) -> Outcomes:
        """The outcomes of some of the runs, on all items."""
        bases, sets = self.bases and self.bases[runs], self.sets and self.sets[runs]
        return Outcomes(self.values[runs], bases, self.clusters, sets)

    def __rmul__(self, factor: float) -> Outcomes:
        return replace(self, values=factor * self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def mean(self, axis: int | None = None) -> Any:
        return self.values.mean(axis=axis)


def _pairs(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """What runs of a pair are called: as one side, where the other says nothing or the same."""
    if not one or not other or one == other:
        return one or other
    return tuple(" and ".join(dict.fromkeys(pair)) for pair in zip(one, other, strict=True))


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval, in the unit of the input. Unpacks as mean, low, high, n.

    `n` counts runs (seeds), `n_items` test items (0 where unknown), `n_bases` base models. `sources` says what the
    interval covers: "seeds and items", "seeds", "items" (a single seed: nothing is known about other seeds) or "none"
    (a single number: the interval is the whole line). `n_sets` counts test sets of the same size, where base models
    or runs have their own. `reading` is the question that it answers (READINGS). `p` is the
    two-sided p-value of "no difference", None for anything but a difference. Degrees of freedom 0 mark a part that
    cannot be estimated.
    """

    mean: float
    low: float
    high: float
    n: int
    n_items: int
    se_seeds: float
    se_items: float
    sources: str
    p: float | None = None
    df_seeds: int = 0
    df_items: int = 0
    n_bases: int = 1
    reading: str = READINGS[0]
    n_sets: int = 1

    def __iter__(self) -> Iterator[float]:
        return iter((self.mean, self.low, self.high, self.n))

    def scaled(self, factor: float) -> Interval:
        """The same estimate in another unit, such as 100 for percent."""
        names = ("mean", "low", "high", "se_seeds", "se_items")
        return replace(self, **{name: factor * getattr(self, name) for name in names})

    def half_width(self, tail: float) -> float:
        """Half-width of the interval that leaves `tail` of the probability outside on both sides together."""
        if not (self.df_seeds or self.df_items):
            return math.inf
        seeds = t_quantile(tail / 2, self.df_seeds) * self.se_seeds if self.df_seeds else 0.0
        items = t_quantile(tail / 2, self.df_items) * self.se_items if self.df_items else 0.0
        return math.hypot(seeds, items)

    def p_value(self, at: float = 0.0) -> float:
        """Two-sided p-value of "the difference is `at`": below 0.05 exactly where the 95 % interval excludes it."""
        return self._p(abs(self.mean - at))

    def p_inside(self, margin: float) -> float:
        """The p-value of "the difference is at least `margin` in size", for showing that there is none.

        Below 0.05 exactly where the 95 % interval lies inside -margin..margin: two one-sided tests (Schuirmann 1987),
        each at half of the level, so that one interval serves for both questions.
        """
        return self._p(margin - abs(self.mean)) if abs(self.mean) < margin else 1.0

    def _p(self, distance: float) -> float:
        if distance == 0 or not (self.df_seeds or self.df_items):
            return 1.0
        if self.half_width(SMALLEST_P) <= distance:
            return SMALLEST_P
        return float(brentq(lambda p: self.half_width(p) - distance, SMALLEST_P, 1.0, xtol=1e-14))


SCORE = ((0.0, 2.0), (1.0, 2.0))
DIFFERENCE = ((-1.0, 0.5), (1.0, 0.5))


def _outcomes(given: ArrayLike | Outcomes) -> Outcomes:
    """Checked [runs, items] outcomes; an array's runs count as seeds of one base model."""
    matrix = np.atleast_2d(np.asarray(given, dtype=float))
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f"outcomes must be a non-empty [seeds, items] array, not one of shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("outcomes must be finite")
    return replace(given, values=matrix) if isinstance(given, Outcomes) else Outcomes(matrix)


def _clustered(outcomes: Outcomes) -> np.ndarray:
    """[runs, clusters]: a column a cluster, with the mean over columns that the items have.

    The mean over items is a ratio, of sums over clusters to sizes of clusters. So each cluster's mean is linearised
    about the mean of all, with the cluster's share of the items as weight.
    """
    if outcomes.clusters is None or len(set(outcomes.clusters)) == len(outcomes.clusters):
        return outcomes.values
    _, index, sizes = np.unique(outcomes.clusters, return_inverse=True, return_counts=True)
    member = np.zeros((len(index), len(sizes)))
    member[np.arange(len(index)), index] = 1.0
    mean = outcomes.values.mean(axis=1, keepdims=True)
    return mean + sizes / sizes.mean() * (outcomes.values @ member / sizes - mean)


def _item_variance(groups: Sequence[np.ndarray], pseudo: Pseudo) -> float:
    """Squared standard error of the mean of [runs, clusters] outcomes due to the choice of clusters alone.

    One group of runs whose clusters are the same, or several, each with as many clusters of its own.
    """
    items = sum(group.shape[1] for group in groups)
    grand = float(np.mean([group.mean() for group in groups]))
    # Clusters vary about the mean of their own test set, which costs each of these a degree of freedom.
    means = [group.mean(axis=0) - (group.mean() - grand if len(groups) > 1 else 0.0) for group in groups]
    values = np.concatenate([*means, [value for value, _ in pseudo]])
    weights = np.concatenate([np.ones(items), [weight for _, weight in pseudo]])
    total = weights.sum()
    if total <= len(groups):
        return math.nan
    centre = (weights * values).sum() / total
    spread = (weights * (values - centre) ** 2).sum() / (total - len(groups))
    spread -= float(np.mean([_interaction(group) for group in groups]))
    return max(spread, 0.0) / items


def _interaction(group: np.ndarray) -> float:
    """What the interaction of runs and clusters adds to the variance of a cluster's mean over the runs."""
    seeds, items = group.shape
    if seeds < 2 or items < 2:
        return 0.0
    residual = group - group.mean(axis=0) - group.mean(axis=1, keepdims=True) + group.mean()
    return float((residual**2).sum() / ((seeds - 1) * (items - 1)) / seeds)


def _apart(values: np.ndarray, labels: tuple[str, ...] | None) -> list[np.ndarray]:
    """What runs have as one array a label (a base model, or a test set), in the order in which they come."""
    labels = labels or ("",) * len(values)
    return [values[[label == name for label in labels]] for name in dict.fromkeys(labels)]


def _seed_parts(values: np.ndarray, bases: tuple[str, ...] | None) -> dict[str, tuple[float, int]]:
    """Standard error and degrees of freedom of the mean over runs, for each reading that the design allows."""
    own = _apart(values, bases)
    count, repeats = len(own), sum(len(group) - 1 for group in own)
    found = {}
    if count == 1 or repeats:
        squares = sum(((group - group.mean()) ** 2).sum() for group in own)
        error = math.sqrt(squares / repeats * sum(1 / len(group) for group in own)) / count if repeats else 0.0
        found["these_bases"] = (error, repeats)
    if count > 1:
        found["any_base"] = (float(np.std([group.mean() for group in own], ddof=1)) / math.sqrt(count), count - 1)
    return found


def _intervals(
    groups: Sequence[Outcomes], pseudo: Pseudo, binary: bool, level: float, bounds: tuple[float, float]
) -> dict[str, Interval]:
    """Intervals of the plain mean over groups (test sets with items of their own), by reading."""
    runs, bases = groups[0].shape[0], groups[0].bases
    if any(group.shape[0] != runs or group.bases != bases for group in groups):
        raise ValueError("every group needs the same seeds of the same base models")
    by_run = np.mean([group.mean(axis=1) for group in groups], axis=0)
    mean = float(np.mean([own.mean() for own in _apart(by_run, bases)]))
    nested = [_apart(_clustered(group), group.sets) for group in groups]
    found = {}
    for reading, (error, freedom) in _seed_parts(by_run, bases).items():
        parts = [
            _items_part(group, sets, pseudo if binary else (), reading)
            for group, sets in zip(groups, nested, strict=True)
        ]
        variance = sum(part for part, _ in parts) / len(groups) ** 2
        known = math.isfinite(variance)
        estimate = Interval(
            mean,
            *bounds,
            n=runs,
            n_items=sum(group.shape[1] * len(sets) for group, sets in zip(groups, nested, strict=True)),
            se_seeds=error,
            se_items=math.sqrt(variance) if known else 0.0,
            sources="",
            df_seeds=freedom,
            df_items=max(sum(own for _, own in parts), 1) if known else 0,
            n_bases=len(_apart(by_run, bases)),
            reading=reading,
            n_sets=max(map(len, nested)),
        )
        found[reading] = _bounded(estimate, level, bounds)
    return found


def _items_part(outcomes: Outcomes, sets: Sequence[np.ndarray], pseudo: Pseudo, reading: str) -> tuple[float, int]:
    """The items' part of a squared standard error that the runs' part does not hold, and its degrees of freedom.

    sets: the outcomes as [runs, clusters], a test set each. The spread between base models, or between the seeds of
    each, of which no two share a test set holds all but what pseudo-items add.
    """
    variance = _item_variance(sets, pseudo)
    runs = range(len(outcomes.values))
    holders = set(zip(outcomes.bases or runs, outcomes.sets or runs, strict=True)) if reading == "any_base" else runs
    if 1 < len(sets) == len(holders):
        variance = max(variance - _item_variance(sets, ()), 0.0)
    return variance, sum(own.shape[1] - 1 for own in sets)


def _bounded(estimate: Interval, level: float, bounds: tuple[float, float]) -> Interval:
    known = {(True, True): "seeds and items", (True, False): "seeds", (False, True): "items"}
    half = estimate.half_width(1 - level)
    return replace(
        estimate,
        low=max(estimate.mean - half, bounds[0]),
        high=min(estimate.mean + half, bounds[1]),
        sources=known.get((estimate.df_seeds > 0, estimate.df_items > 0), "none"),
    )


def counted(readings: Mapping[str, Interval]) -> Interval:
    """The reading that counts: on these base models, or for any where each of them has one seed."""
    return next(readings[name] for name in READINGS if name in readings)


def _is_binary(groups: Sequence[Outcomes]) -> bool:
    return all(np.isin(group.values, (0.0, 1.0)).all() for group in groups)


def mean_interval(values: ArrayLike | Outcomes, level: float = 0.95, n_items: int | None = None) -> Interval:
    """Mean with its interval at `level`.

    values: per-seed values [seeds], or outcomes [seeds, items] on a shared test set. With outcomes the interval covers
    seeds and items as the module says. With per-seed values it is Student's t over seeds; give `n_items` (then the
    values are proportions in [0, 1]) to add the binomial sampling error of the shared test set. The interaction cannot
    be told apart from means alone, so that sum counts it twice and is an upper bound; outcomes give the exact one.
    A single seed leaves item error only, and `sources` says so. Raises ValueError on empty or non-finite input.
    """
    array = np.asarray(values, dtype=float)
    if array.ndim == 2:
        return average_interval([values], level)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError("values must be a non-empty, finite [seeds] or [seeds, items] array")
    seeds, mean = array.size, float(array.mean())
    se_items, bounds = 0.0, UNBOUNDED
    if n_items is not None:
        if n_items < 1 or array.min() < 0 or array.max() > 1:
            raise ValueError("with n_items (at least 1) the values must be proportions in [0, 1]")
        smoothed = (mean * n_items + 2) / (n_items + 4)
        se_items, bounds = math.sqrt(smoothed * (1 - smoothed) / n_items), (0.0, 1.0)
    estimate = Interval(
        mean,
        *bounds,
        n=seeds,
        n_items=n_items or 0,
        se_seeds=float(array.std(ddof=1) / math.sqrt(seeds)) if seeds > 1 else 0.0,
        se_items=se_items,
        sources="",
        df_seeds=seeds - 1,
        df_items=max(n_items - 1, 1) if n_items else 0,
    )
    return _bounded(estimate, level, bounds)


def average_readings(groups: Sequence[ArrayLike | Outcomes], level: float = 0.95) -> dict[str, Interval]:
    """Intervals of the plain mean of several test sets (the prior average), by reading: [seeds, items] a test set."""
    outcomes = [_outcomes(group) for group in groups]
    inside = all(group.values.min() >= 0 and group.values.max() <= 1 for group in outcomes)
    return _intervals(outcomes, SCORE, _is_binary(outcomes), level, (0.0, 1.0) if inside else UNBOUNDED)


def average_interval(groups: Sequence[ArrayLike | Outcomes], level: float = 0.95) -> Interval:
    """Interval of the plain mean of several test sets, in the reading that counts."""
    return counted(average_readings(groups, level))


Given = ArrayLike | Outcomes | Sequence[ArrayLike | Outcomes]


def _groups(outcomes: Given, grouped: bool) -> list[Outcomes]:
    return [_outcomes(group) for group in outcomes] if grouped else [_outcomes(outcomes)]


def paired_readings(a: Given, b: Given, level: float = 0.95, grouped: bool = False) -> dict[str, Interval]:
    """Mean of a - b with its interval and two-sided p-value, paired by item and by run, by reading.

    a, b: outcomes [seeds, items] on the same items, seed s of both sharing what a seed decides; [items] is one seed.
    With `grouped` they are lists of such arrays, one a test set, and the difference is that of their plain averages.
    The test is the module's: Student's t over the differences of the runs, combined with the paired sampling error of
    the items; with one seed it is the paired t-test over items. Raises ValueError when shapes or labels differ.
    """
    left, right = _groups(a, grouped), _groups(b, grouped)
    if [group.shape for group in left] != [group.shape for group in right]:
        raise ValueError("paired outcomes need the same seeds and items on both sides")
    differences = [one - other for one, other in zip(left, right, strict=True)]
    found = _intervals(differences, DIFFERENCE, _is_binary(left + right), level, UNBOUNDED)
    return {reading: replace(interval, p=interval.p_value()) for reading, interval in found.items()}


def paired_difference(a: Given, b: Given, level: float = 0.95, grouped: bool = False) -> Interval:
    """Mean of a - b with its interval and p-value in the reading that counts, as `paired_readings` has it."""
    return counted(paired_readings(a, b, level, grouped))


def variance_components(differences: Given, grouped: bool = False) -> dict[str, float | None]:
    """Standard deviations {"base", "seed", "cluster"} of outcomes, in their unit; None where the design has no repeat.

    base: between base models, beyond what their seeds explain; seed: between seeds of one base model; cluster: between
    clusters of items, beyond the interaction. Estimates by the method of moments (analysis of variance), a negative one
    being 0.
    """
    groups = _groups(differences, grouped)
    by_run = np.mean([group.mean(axis=1) for group in groups], axis=0)
    own = _apart(by_run, groups[0].bases)
    repeats = sum(len(group) - 1 for group in own)
    within = sum(((group - group.mean()) ** 2).sum() for group in own) / repeats if repeats else None
    between = float(np.var([group.mean() for group in own], ddof=1)) if len(own) > 1 else None
    if between is not None and within is not None:
        between = max(between - within * np.mean([1 / len(group) for group in own]), 0.0)
    nested = [_apart(_clustered(group), group.sets) for group in groups]
    spread = [_item_variance(group, ()) * sum(own.shape[1] for own in group) for group in nested]
    known = all(math.isfinite(value) for value in spread)
    squares = {"base": between, "seed": within, "cluster": float(np.mean(spread)) if known else None}
    return {name: None if square is None else math.sqrt(square) for name, square in squares.items()}


@dataclass(frozen=True)
class Fraction:
    """A ratio of two mean differences with its interval; low and high are infinite where the data do not bound it.

    p_outside: the p-value of what the estimate says where it lies outside 0..1 (nothing restored, or all of it and
    more); None where it lies inside, or the data do not bound it.
    """

    fraction: float
    low: float
    high: float
    n: int
    n_items: int
    p_outside: float | None = None
    n_bases: int = 1
    reading: str = READINGS[0]


def restored_fractions(
    restored: Sequence[ArrayLike | Outcomes],
    damaged: Sequence[ArrayLike | Outcomes],
    intact: Sequence[ArrayLike | Outcomes],
    level: float = 0.95,
) -> dict[str, Fraction]:
    """The share of a loss that was restored: (restored - damaged) / (intact - damaged), paired, by reading.

    Arguments are lists of [seeds, items], one a test set. The interval is Fieller's: all f for which the interval of
    (restored - damaged) - f (intact - damaged) contains zero. It excludes 0 exactly when restored differs from damaged
    and 1 exactly when restored differs from intact. When the loss itself may be zero the interval is unbounded.
    """
    restored, damaged, intact = (_groups(side, True) for side in (restored, damaged, intact))
    gain = [one - other for one, other in zip(restored, damaged, strict=True)]
    loss = [one - other for one, other in zip(intact, damaged, strict=True)]
    binary = _is_binary(restored + damaged + intact)

    def intervals(f: float) -> dict[str, Interval]:
        left = [one - f * other for one, other in zip(gain, loss, strict=True)]
        return _intervals(left, DIFFERENCE, binary, level, UNBOUNDED)

    whole, start = _intervals(loss, DIFFERENCE, binary, level, UNBOUNDED), intervals(0.0)
    found = {}
    for reading, lost in whole.items():
        estimate = start[reading].mean / lost.mean if lost.mean else math.nan
        low, high, p = -math.inf, math.inf, None
        if abs(lost.mean) > lost.half_width(1 - level):

            def outside(f: float, reading: str = reading) -> float:
                candidate = intervals(f)[reading]
                return abs(candidate.mean) - candidate.half_width(1 - level)

            low, high = _edge(outside, estimate, -1), _edge(outside, estimate, 1)
            if not 0 < estimate < 1:
                p = intervals(0.0 if estimate <= 0 else 1.0)[reading].p_value()
        found[reading] = Fraction(estimate, low, high, lost.n, lost.n_items, p, lost.n_bases, reading)
    return found


def restored_fraction(
    restored: Sequence[ArrayLike | Outcomes],
    damaged: Sequence[ArrayLike | Outcomes],
    intact: Sequence[ArrayLike | Outcomes],
    level: float = 0.95,
) -> Fraction:
    """The share of a loss that was restored, in the reading that counts, as `restored_fractions` has it."""
    return next(iter(restored_fractions(restored, damaged, intact, level).values()))


def _edge(outside: Callable[[float], float], start: float, sign: int) -> float:
    """Where `outside` turns positive on the way from `start` in the direction of `sign`; infinite if nowhere."""
    inner, step = start, 0.05
    while step < 1e4:
        outer = start + sign * step
        if outside(outer) > 0:
            return float(brentq(outside, inner, outer)) if outside(inner) < 0 else inner
        inner, step = outer, step * 1.5
    return sign * math.inf


def mcnemar_exact(a: ArrayLike, b: ArrayLike) -> float:
    """Two-sided exact McNemar p-value for paired 0/1 outcomes [items] of one seed."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or not np.isin([a, b], (0.0, 1.0)).all():
        raise ValueError("McNemar's test needs 0/1 outcomes of the same items")
    only_a, only_b = int((a > b).sum()), int((b > a).sum())
    # No other statistic here needs scipy.stats, which takes longer to import than most tables take to make.
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given."""
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def pass_at_k(n: int, c: int, k: int) -> float:
    """Unbiased estimate of the chance that one of k samples is right, given c right among n (Chen et al. 2021, eq. 1).

    1 - C(n - c, k) / C(n, k), computed as a product of k factors in [0, 1] so that no binomial overflows. Raises
    ValueError unless 0 <= c <= n and 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@k needs 0 <= c <= n and 1 <= k <= n, not n={n}, c={c}, k={k}")
    if n - c < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))
