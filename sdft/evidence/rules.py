"""How tests decide a statement. Declared before anything runs; the same for tables, figures, ledger, report and README.

A statement has one test or several (one a task, an order of tasks, a number k), each of a difference with its 95 %
interval. What one test says:

- DIRECTION: the claimed sign holds, and the interval excludes zero (a restored share: it lies inside 0..1).
- WITHIN: the interval lies inside the declared margin, so "no worse" or "unchanged" holds to that precision.
- MISMATCH: the interval says the opposite, by more than the margin. The measurement is against the statement.
- NO DIFFERENCE: a difference is claimed, and the interval lies inside -NEAR..NEAR, the smallest that would be of
  interest. That is against the statement as well.
- INCONCLUSIVE: the interval allows both, or it is against the statement, but no longer after Holm's correction.

A statement has to hold in every one of its tests. So it is in favour (DIRECTION, or WITHIN) where each of them is, each
at 5 %: an intersection-union test keeps the level of its parts (Berger 1982), and needs no correction. One test against
it is enough to decide against it, and with several tests one may come out so by chance. So the p-values of what speaks
against it are corrected by Holm's procedure over the tests of the statement. A test may be a premise, such as that a
model learnt what it is said to keep; without it nothing is found in favour, and it never decides against.

Each of this is done in two readings (sdft/statistics.py): on these base models, and for any base model. The first
counts where it can be had, since the paper has one base model and several seeds; where each base model has one seed
only the second can be had, and counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sdft.statistics import Fraction, Interval, holm

LEVEL = 0.95
# How near is "nearly", in percentage points: about the width of an interval over 500 items. It is the smallest
# difference of interest too.
NEAR = 5.0
IN_FAVOUR = ("DIRECTION", "WITHIN")
AGAINST = ("MISMATCH", "NO DIFFERENCE")


@dataclass(frozen=True)
class Trial:
    """One test in one reading: the kind of its claim, its interval, margin and smallest difference of interest.

    kind: better (above 0), not_worse (above 0, or above -margin), unchanged (inside the margin), no_gain (below the
    margin), restores_part (a share strictly inside 0..1) or premise (above 0, else nothing is decided). near None: no
    difference is too small to be of interest.
    """

    kind: str
    interval: Interval | Fraction
    margin: float = 0.0
    near: float | None = NEAR

    @property
    def favour(self) -> str | None:
        """DIRECTION or WITHIN where the interval is in favour, else None."""
        low, high = self.interval.low, self.interval.high
        if self.kind == "restores_part":
            return "DIRECTION" if low > 0 and high < 1 else None
        if self.kind == "unchanged":
            return "WITHIN" if -self.margin <= low and high <= self.margin else None
        if self.kind == "no_gain":
            return "WITHIN" if high < self.margin else None
        if low > 0:
            return "DIRECTION"
        # A loss that may be smaller than the margin is no evidence against "at least as good".
        return "WITHIN" if self.kind == "not_worse" and low > -self.margin else None

    @property
    def against(self) -> tuple[str, float] | None:
        """What the test would say against its claim, and the p-value of that; None where it points the other way."""
        if self.kind == "premise" or self.favour:
            return None
        if self.kind == "restores_part":
            return ("MISMATCH", self.interval.p_outside) if self.interval.p_outside is not None else None
        mean, found = self.interval.mean, []
        if self.kind == "unchanged":
            if abs(mean) > self.margin:
                found.append(("MISMATCH", self.interval.p_value(math.copysign(self.margin, mean))))
        elif self.kind == "no_gain":
            if mean > self.margin:
                found.append(("MISMATCH", self.interval.p_value(self.margin)))
        elif mean < (edge := -self.margin if self.kind == "not_worse" else 0.0):
            found.append(("MISMATCH", self.interval.p_value(edge)))
        if self.kind == "better" and self.near is not None and abs(mean) < self.near:
            found.append(("NO DIFFERENCE", self.interval.p_inside(self.near)))
        return next((entry for entry in found if entry[1] < 1 - LEVEL), found[0] if found else None)

    @property
    def distance(self) -> float | None:
        """How far the estimate is from the nearest edge at which the test would decide, in its unit."""
        if isinstance(self.interval, Fraction):
            return None
        mean = self.interval.mean
        edges = {"better": 0.0, "premise": 0.0, "not_worse": -self.margin, "no_gain": self.margin}
        away = abs(abs(mean) - self.margin) if self.kind == "unchanged" else abs(mean - edges[self.kind])
        alike = self.near - abs(mean) if self.kind == "better" and self.near is not None else 0.0
        return max(away, alike)


def decide(tests: Sequence[Trial], complete: bool = True) -> tuple[str, list[str], list[float | None]]:
    """The verdict of a statement over its tests, the word of each test, and Holm's p of what speaks against it.

    complete: whether all tests were run; a statement is in favour only then.
    """
    found = [test.against for test in tests]
    adjusted = holm([1.0 if entry is None else entry[1] for entry in found])
    words = [
        test.favour or (entry[0] if entry and p < 1 - LEVEL else "INCONCLUSIVE")
        for test, entry, p in zip(tests, found, adjusted, strict=True)
    ]
    shown = [None if entry is None else p for entry, p in zip(found, adjusted, strict=True)]
    return combine(words, complete), words, shown


def combine(words: Sequence[str], complete: bool = True) -> str:
    """The verdict of a statement that has to hold in every one of its tests, from their words."""
    if not words:
        return "NOT RUN"
    for word in AGAINST:
        if word in words:
            return word
    if complete and set(words) == {"DIRECTION"}:
        return "DIRECTION"
    return "WITHIN" if complete and set(words) <= set(IN_FAVOUR) else "INCONCLUSIVE"
