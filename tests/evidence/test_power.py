"""The number of base models and seeds that would decide a test."""

import numpy as np
import pytest

from sdft.evidence.power import bases_needed, items_suffice, seeds_needed, smallest_difference
from sdft.statistics import Outcomes, average_readings


@pytest.mark.parametrize("reading", ["these_bases", "any_base"])
def test_at_the_smallest_difference_four_of_five_studies_decide(reading):
    rng, repeats = np.random.default_rng(0), 400
    spread = {"base": 3.0 if reading == "any_base" else 0.0, "seed": 2.0}
    distance = smallest_difference(spread, 0.0, 5, 2, reading)
    found = 0
    for _ in range(repeats):
        bases = np.repeat(distance + spread["base"] * rng.standard_normal(5), 2)
        values = (bases + spread["seed"] * rng.standard_normal(10))[:, None]
        outcomes = Outcomes(values, tuple(f"b{number // 2}" for number in range(10)))
        found += average_readings([outcomes])[reading].low > 0
    assert 0.72 < found / repeats < 0.9


def test_more_runs_decide_smaller_differences_and_items_set_a_floor():
    spread = {"base": 5.0, "seed": 5.0}
    sizes = [smallest_difference(spread, 0.0, 5, seeds) for seeds in (2, 3, 6)]
    assert sizes == sorted(sizes, reverse=True)
    assert smallest_difference(spread, 0.0, 5, 2) < smallest_difference(spread, 0.0, 5, 2, "any_base")
    assert smallest_difference(spread, 0.0, 3, 1) == float("inf")
    needed = seeds_needed(spread, 0.0, 5, 4.0)
    assert smallest_difference(spread, 0.0, 5, needed) <= 4.0 < smallest_difference(spread, 0.0, 5, needed - 1)
    assert seeds_needed(spread, 3.0, 5, 4.0) is None
    assert bases_needed(spread, 0.0, 2, 4.0) > 5


def test_items_that_are_too_few_decide_nothing_whatever_the_runs():
    spread = {"base": 5.0, "seed": 5.0}
    assert not items_suffice(3.0, 4.0, 30)
    assert seeds_needed(spread, 3.0, 5, 4.0, 30) is None
    assert items_suffice(0.5, 4.0, 30)
    assert seeds_needed(spread, 0.5, 5, 4.0, 30) is not None
