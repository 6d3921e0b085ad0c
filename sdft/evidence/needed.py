"""How many seeds would decide a test that is INCONCLUSIVE, if the difference is what was measured."""

from __future__ import annotations

import math
from typing import Any

# Half-width of an interval of many seeds, in standard errors.
NORMAL = 1.96
# Beyond this many nobody would run them.
MOST = 1000


def needed(test: dict[str, Any]) -> str:
    """What would decide a test, as a sentence; empty where it is decided or was not run.

    test: one of a claim's tests, with its ends in its own unit. More seeds shrink what the seeds contribute to the
    standard error; what the test items contribute stays, since every seed answers the same ones.
    """
    mean, low, high, seeds = (test.get(name) for name in ("difference", "low", "high", "n_seeds"))
    if test.get("verdict") != "INCONCLUSIVE" or None in (mean, low, high) or not seeds:
        return ""
    bounds = [0.0] if test.get("margin") is None else [-test["margin"], test["margin"]]
    gap = min(abs(mean - bound) for bound in bounds)
    by_seed, by_item = test.get("se_seeds"), test.get("se_items")
    if by_seed is None or by_item is None:
        by_seed, by_item = (high - low) / 2 / NORMAL, 0.0
    left = (gap / NORMAL) ** 2 - by_item**2
    if left <= 0:
        return f"more test items, whatever the number of seeds: the choice of items alone leaves {gap:.2g} open."
    count = math.ceil(seeds * by_seed**2 / left)
    if count > MOST:
        return f"more than {MOST} seeds: the difference is too near the boundary."
    return f"about {max(count, seeds + 1)} seeds, if the difference stays {mean:+.2g} (there are {seeds})."
