"""Means, intervals and paired tests over seeds and test items.

An outcome of seed s on item i is y[s, i] = mean + seed_s + item_i + interaction_si. The mean over S seeds that share
one test set of I items has variance  var(seed)/S + var(item)/I + var(interaction)/(S I).

- The spread of the per-seed means estimates the first and the third part: `se_seeds`, with S - 1 degrees of freedom.
- The spread of the per-item means estimates the second and, again, the third part. The interaction's mean square of the
  two-way analysis of variance is subtracted from it, so that nothing is counted twice: `se_items`.

The two are combined as half_width^2 = (t_seeds se_seeds)^2 + (t_items se_items)^2, each with its own t quantile
(Howe 1974; Graybill and Wang 1980): exact when one part vanishes and otherwise slightly wide rather than narrow. A
p-value is one minus the level at which the interval touches zero, so it always agrees with the interval. A permutation
of seeds is no alternative: with three seeds a sign-flip test cannot go below p = 0.25.

With 0/1 outcomes the width, never the mean, is computed with pseudo-items (two right and two wrong ones for a mean,
Agresti and Coull 1998; half a +1 and half a -1 for a paired difference, Agresti and Min 2005), so that a perfect score
does not get an interval of width zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.optimize import brentq

SMALLEST_P = 1e-12
UNBOUNDED = (-math.inf, math.inf)


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval, in the unit of the input. Unpacks as mean, low, high, n.

    `n` counts seeds, `n_items` test items (0 where unknown). `sources` says what the interval covers: "seeds and
    items", "seeds", "items" (a single seed: nothing is known about other seeds) or "none" (a single number: the
    interval is the whole line). `p` is the two-sided p-value of "no difference", None for anything but a difference.
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

    def __iter__(self) -> Iterator[float]:
        return iter((self.mean, self.low, self.high, self.n))

    def scaled(self, factor: float) -> Interval:
        """The same estimate in another unit, such as 100 for percent."""
        return replace(
            self,
            mean=factor * self.mean,
            low=factor * self.low,
            high=factor * self.high,
            se_seeds=factor * self.se_seeds,
            se_items=factor * self.se_items,
        )


@dataclass(frozen=True)
class _Parts:
    """A mean and the two parts of its standard error; degrees of freedom 0 mark a part that cannot be estimated."""

    mean: float
    se_seeds: float
    df_seeds: int
    se_items: float
    df_items: int

    def half_width(self, tail: float) -> float:
        """Half-width of the interval that leaves `tail` of the probability outside on both sides together."""
        seeds = stats.t.isf(tail / 2, self.df_seeds) * self.se_seeds if self.df_seeds else 0.0
        items = stats.t.isf(tail / 2, self.df_items) * self.se_items if self.df_items else 0.0
        return math.hypot(seeds, items)

    def p_value(self) -> float:
        if self.mean == 0 or not (self.df_seeds or self.df_items):
            return 1.0
        distance = abs(self.mean)
        if self.half_width(SMALLEST_P) <= distance:
            return SMALLEST_P
        return float(brentq(lambda p: self.half_width(p) - distance, SMALLEST_P, 1.0, xtol=1e-14))

    def interval(self, level: float, n: int, n_items: int, bounds: tuple[float, float]) -> Interval:
        known = {(True, True): "seeds and items", (True, False): "seeds", (False, True): "items"}
        sources = known.get((self.df_seeds > 0, self.df_items > 0), "none")
        half = math.inf if sources == "none" else self.half_width(1 - level)
        low, high = (max(self.mean - half, bounds[0]), min(self.mean + half, bounds[1]))
        return Interval(self.mean, low, high, n, n_items, self.se_seeds, self.se_items, sources)


SCORE = ((0.0, 2.0), (1.0, 2.0))
DIFFERENCE = ((-1.0, 0.5), (1.0, 0.5))


def _matrix(outcomes: ArrayLike) -> np.ndarray:
    matrix = np.atleast_2d(np.asarray(outcomes, dtype=float))
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f"outcomes must be a non-empty [seeds, items] array, not one of shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("outcomes must be finite")
    return matrix


def _item_variance(matrix: np.ndarray, pseudo: Sequence[tuple[float, float]]) -> float:
    """Squared standard error of the mean of [seeds, items] outcomes due to the choice of items alone."""
    seeds, items = matrix.shape
    means = matrix.mean(axis=0)
    values = np.concatenate([means, [value for value, _ in pseudo]])
    weights = np.concatenate([np.ones(items), [weight for _, weight in pseudo]])
    total = weights.sum()
    if total <= 1:
        return math.nan
    centre = (weights * values).sum() / total
    spread = (weights * (values - centre) ** 2).sum() / (total - 1)
    if seeds > 1 and items > 1:
        residual = matrix - means - matrix.mean(axis=1, keepdims=True) + matrix.mean()
        spread -= (residual**2).sum() / ((seeds - 1) * (items - 1)) / seeds
    return max(spread, 0.0) / items


def _parts(groups: Sequence[np.ndarray], pseudo: Sequence[tuple[float, float]], binary: bool) -> _Parts:
    """Parts of the plain mean over groups (test sets with items of their own), each [seeds, items of the group]."""
    seeds = groups[0].shape[0]
    if any(group.shape[0] != seeds for group in groups):
        raise ValueError("every group needs the same seeds")
    by_seed = np.mean([group.mean(axis=1) for group in groups], axis=0)
    variance = sum(_item_variance(group, pseudo if binary else ()) for group in groups) / len(groups) ** 2
    known = math.isfinite(variance)
    return _Parts(
        mean=float(by_seed.mean()),
        se_seeds=float(by_seed.std(ddof=1) / math.sqrt(seeds)) if seeds > 1 else 0.0,
        df_seeds=seeds - 1,
        se_items=math.sqrt(variance) if known else 0.0,
        df_items=max(sum(group.shape[1] - 1 for group in groups), 1) if known else 0,
    )


def _is_binary(groups: Sequence[np.ndarray]) -> bool:
    return all(np.isin(group, (0.0, 1.0)).all() for group in groups)


def mean_interval(values: ArrayLike, level: float = 0.95, n_items: int | None = None) -> Interval:
    """Mean with its interval at `level`.

    values: per-seed values [seeds], or outcomes [seeds, items] on a shared test set. With outcomes the interval covers
    seeds and items as the module says. With per-seed values it is Student's t over seeds; give `n_items` (then the
    values are proportions in [0, 1]) to add the binomial sampling error of the shared test set. The interaction cannot
    be told apart from means alone, so that sum counts it twice and is an upper bound; outcomes give the exact one.
    A single seed leaves item error only, and `sources` says so. Raises ValueError on empty or non-finite input.
    """
    array = np.asarray(values, dtype=float)
    if array.ndim == 2:
        return average_interval([array], level)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError("values must be a non-empty, finite [seeds] or [seeds, items] array")
    seeds, mean = array.size, float(array.mean())
    se_items, bounds = 0.0, UNBOUNDED
    if n_items is not None:
        if n_items < 1 or array.min() < 0 or array.max() > 1:
            raise ValueError("with n_items (at least 1) the values must be proportions in [0, 1]")
        smoothed = (mean * n_items + 2) / (n_items + 4)
        se_items, bounds = math.sqrt(smoothed * (1 - smoothed) / n_items), (0.0, 1.0)
    parts = _Parts(
        mean=mean,
        se_seeds=float(array.std(ddof=1) / math.sqrt(seeds)) if seeds > 1 else 0.0,
        df_seeds=seeds - 1,
        se_items=se_items,
        df_items=max(n_items - 1, 1) if n_items else 0,
    )
    return parts.interval(level, seeds, n_items or 0, bounds)


def average_interval(groups: Sequence[ArrayLike], level: float = 0.95) -> Interval:
    """Interval of the plain mean of several test sets (the prior average): groups of [seeds, items of the group]."""
    matrices = [_matrix(group) for group in groups]
    inside = all(matrix.min() >= 0 and matrix.max() <= 1 for matrix in matrices)
    return _parts(matrices, SCORE, _is_binary(matrices)).interval(
        level,
        matrices[0].shape[0],
        sum(matrix.shape[1] for matrix in matrices),
        (0.0, 1.0) if inside else UNBOUNDED,
    )


Outcomes = ArrayLike | Sequence[ArrayLike]


def _groups(outcomes: Outcomes, grouped: bool) -> list[np.ndarray]:
    return [_matrix(group) for group in outcomes] if grouped else [_matrix(outcomes)]


def paired_difference(a: Outcomes, b: Outcomes, level: float = 0.95, grouped: bool = False) -> Interval:
    """Mean of a - b with its interval and two-sided p-value, paired by item and by seed.

    a, b: outcomes [seeds, items] on the same items, seed s of both sharing what a seed decides; [items] is one seed.
    With `grouped` they are lists of such arrays, one a test set, and the difference is that of their plain averages.
    The test is the module's: Student's t over the per-seed differences, combined with the paired sampling error of the
    items; with one seed it is the paired t-test over items. Raises ValueError when shapes differ.
    """
    left, right = _groups(a, grouped), _groups(b, grouped)
    if [matrix.shape for matrix in left] != [matrix.shape for matrix in right]:
        raise ValueError("paired outcomes need the same seeds and items on both sides")
    differences = [one - other for one, other in zip(left, right, strict=True)]
    parts = _parts(differences, DIFFERENCE, _is_binary(left + right))
    n_items = sum(matrix.shape[1] for matrix in left)
    return replace(parts.interval(level, left[0].shape[0], n_items, UNBOUNDED), p=parts.p_value())


@dataclass(frozen=True)
class Fraction:
    """A ratio of two mean differences with its interval; low and high are infinite where the data do not bound it."""

    fraction: float
    low: float
    high: float
    n: int
    n_items: int


def restored_fraction(
    restored: Sequence[ArrayLike], damaged: Sequence[ArrayLike], intact: Sequence[ArrayLike], level: float = 0.95
) -> Fraction:
    """The share of a loss that was restored: (restored - damaged) / (intact - damaged), paired by item and seed.

    Arguments are lists of [seeds, items], one a test set. The interval is Fieller's: all f for which the interval of
    (restored - damaged) - f (intact - damaged) contains zero. It excludes 0 exactly when restored differs from damaged
    and 1 exactly when restored differs from intact. When the loss itself may be zero the interval is unbounded.
    """
    damaged = _groups(damaged, True)
    gain = [one - other for one, other in zip(_groups(restored, True), damaged, strict=True)]
    loss = [one - other for one, other in zip(_groups(intact, True), damaged, strict=True)]
    binary = _is_binary(_groups(restored, True) + damaged + _groups(intact, True))
    n, n_items = gain[0].shape[0], sum(matrix.shape[1] for matrix in gain)

    def parts(f: float) -> _Parts:
        return _parts([g - f * size for g, size in zip(gain, loss, strict=True)], DIFFERENCE, binary)

    def outside(f: float) -> float:
        candidate = parts(f)
        return abs(candidate.mean) - candidate.half_width(1 - level)

    whole = _parts(loss, DIFFERENCE, binary)
    if abs(whole.mean) <= whole.half_width(1 - level):
        estimate = parts(0.0).mean / whole.mean if whole.mean else math.nan
        return Fraction(estimate, -math.inf, math.inf, n, n_items)
    estimate = parts(0.0).mean / whole.mean
    return Fraction(estimate, _edge(outside, estimate, -1), _edge(outside, estimate, 1), n, n_items)


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
    if a.shape != b.shape or not _is_binary([a, b]):
        raise ValueError("McNemar's test needs 0/1 outcomes of the same items")
    only_a, only_b = int((a > b).sum()), int((b > a).sum())
    return float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


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
