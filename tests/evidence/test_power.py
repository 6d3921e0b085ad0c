"""The number of base models and seeds that would decide a test."""

import math

import numpy as np
import pytest

from sdft.evidence.power import bases_needed, items_suffice, needed, seeds_needed, smallest_difference
from sdft.statistics import Interval, Outcomes, average_readings


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


@pytest.mark.parametrize(
    ("reading", "kept", "more"), [("these_bases", "bases", "seeds"), ("any_base", "seeds", "bases")]
)
def test_more_runs_bring_more_items_where_each_has_its_own(reading, kept, more):
    known = {"n": 20, "n_items": 320, "se_seeds": 0.5, "se_items": 0.3, "sources": "seeds and items", "df_items": 300}
    interval = Interval(0.0, -2.0, 2.0, **known, n_bases=5, n_sets=20, reading=reading)
    spread, distance = {"base": 1.0, "seed": 2.0}, 0.8
    # The items of 20 runs leave too much, however little the runs differ.
    assert not items_suffice(0.3, distance, 300)
    design = needed(interval, spread, distance)
    assert design[kept] == {"bases": 5, "seeds": 4}[kept]

    def decided(design):
        share = design["bases"] * design["seeds"] / 20
        left = smallest_difference(
            spread, 0.3 / math.sqrt(share), **design, reading=reading, df_items=round(300 * share)
        )
        return left <= distance

    assert decided(design)
    assert not decided(design | {more: design[more] - 1})


def test_items_that_are_too_few_decide_nothing_whatever_the_runs():
    spread = {"base": 5.0, "seed": 5.0}
    assert not items_suffice(3.0, 4.0, 30)
    assert seeds_needed(spread, 3.0, 5, 4.0, 30) is None
    assert items_suffice(0.5, 4.0, 30)
    assert seeds_needed(spread, 0.5, 5, 4.0, 30) is not None


def test_base_models_that_bring_facts_of_their_own_can_decide_what_no_seed_can():
    spread = {"base": 5.0, "seed": 2.0}
    known = {"n": 10, "n_items": 80, "se_seeds": 0.6, "se_items": 1.8, "sources": "seeds and items"}
    known |= {"df_seeds": 5, "df_items": 75, "n_bases": 5}
    assert needed(Interval(0.0, -4.0, 4.0, **known), spread, 4.0) is None
    design = needed(Interval(0.0, -4.0, 4.0, **known, n_sets=5), spread, 4.0)
    assert design["seeds"] == 2
    # What the items add shrinks with the number of test sets; one base model fewer would not do.
    for bases, decides in ((design["bases"], True), (design["bases"] - 1, False)):
        error, freedom = 1.8 * (5 / bases) ** 0.5, 15 * bases
        assert (smallest_difference(spread, error, bases, 2, df_items=freedom) <= 4.0) is decides
