"""Intervals cover what they promise, pairing helps, and special cases agree with textbook tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sdft.statistics import (
    average_interval,
    holm,
    mcnemar_exact,
    mean_interval,
    paired_difference,
    pass_at_k,
    restored_fraction,
)


def width(interval):
    return interval.high - interval.low


def test_per_seed_values_give_students_interval():
    values = [0.61, 0.66, 0.64, 0.70]
    mean, low, high, n = mean_interval(values)
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (low, high) == pytest.approx(expected)
    assert (mean, n) == (pytest.approx(0.6525), 4)
    narrow = mean_interval(values, level=0.8)
    assert narrow.high - mean < high - mean


def test_one_number_bounds_nothing_and_one_seed_says_that_only_items_are_covered():
    alone = mean_interval([0.5])
    assert (alone.low, alone.high, alone.sources) == (-math.inf, math.inf, "none")
    with_items = mean_interval([0.5], n_items=100)
    assert with_items.sources == "items"
    assert width(with_items) == pytest.approx(0.2, abs=0.01)
    outcomes = np.tile([0.0, 1.0], 50)[None]
    assert width(mean_interval(outcomes)) == pytest.approx(width(with_items), rel=0.03)


def test_seeds_that_agree_exactly_do_not_make_the_test_set_larger():
    one = np.random.default_rng(0).integers(0, 2, (1, 200)).astype(float)
    copies = mean_interval(np.repeat(one, 3, axis=0))
    assert width(copies) == pytest.approx(width(mean_interval(one)), rel=1e-6)
    assert copies.sources == "seeds and items"


def test_the_interaction_is_not_counted_twice():
    # Independent noise: all variance is interaction, so the squared standard error is 1 / (seeds items). Adding the
    # spreads of the means over seeds and over items would give twice that.
    rng = np.random.default_rng(1)
    intervals = [mean_interval(rng.standard_normal((20, 30))) for _ in range(200)]
    squared = np.mean([interval.se_seeds**2 + interval.se_items**2 for interval in intervals])
    assert 0.9 / 600 < squared < 1.5 / 600


@pytest.mark.parametrize("seeds", [1, 3, 5])
@pytest.mark.parametrize("seed_sd", [0.0, 0.04])
def test_intervals_cover_the_truth(seeds, seed_sd):
    if seeds == 1 and seed_sd:
        pytest.skip("one seed knows nothing of other seeds, and says so")
    rng = np.random.default_rng(2)
    covered, repeats, items = 0, 300, 150
    for _ in range(repeats):
        threshold = rng.random((1, items)) + 0.1 * rng.standard_normal((seeds, items))
        outcomes = (threshold < 0.6 + seed_sd * rng.standard_normal((seeds, 1))).astype(float)
        interval = mean_interval(outcomes)
        covered += interval.low <= 0.6 <= interval.high
    # At most three standard errors of the simulation below 95 %.
    assert covered / repeats >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / repeats)


def test_paired_tests_hold_their_level_and_see_a_real_difference():
    rng = np.random.default_rng(3)
    false, found, repeats = 0, 0, 150
    for _ in range(repeats):
        item = rng.random((1, 200))
        seed = 0.02 * rng.standard_normal((3, 1))

        def draw(ability, item=item, seed=seed):
            own = 0.02 * rng.standard_normal((3, 1))
            return (item + 0.1 * rng.standard_normal((3, 200)) < ability + seed + own).astype(float)

        false += paired_difference(draw(0.5), draw(0.5)).p < 0.05
        found += paired_difference(draw(0.65), draw(0.5)).p < 0.05
    assert false / repeats <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)
    assert found / repeats > 0.8


def test_one_seed_of_differences_is_the_paired_t_test_over_items():
    rng = np.random.default_rng(4)
    a, b = rng.normal(0.3, 1, 80), rng.normal(0, 1, 80)
    expected = stats.ttest_rel(a, b)
    result = paired_difference(a, b)
    assert result.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert (result.low, result.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_p_value_agrees_with_the_interval(level):
    rng = np.random.default_rng(5)
    for shift in (0.0, 0.05, 0.1, 0.2):
        a = (rng.random((3, 100)) < 0.5 + shift).astype(float)
        b = (rng.random((3, 100)) < 0.5).astype(float)
        result = paired_difference(a, b, level)
        assert (result.p < 1 - level) == (result.low > 0 or result.high < 0)


def test_pairing_narrows_the_interval_of_correlated_outcomes():
    item = np.random.default_rng(6).random(200)
    a, b = (item < 0.6).astype(float), (item < 0.55).astype(float)
    shuffled = np.random.default_rng(7).permutation(b)
    assert width(paired_difference(a, b)) < 0.6 * width(paired_difference(a, shuffled))


def test_perfect_and_equal_scores_keep_an_interval():
    perfect = np.ones((3, 100))
    assert mean_interval(perfect).low < 1
    assert mean_interval(perfect).high == 1
    same = paired_difference(perfect, perfect)
    assert (same.mean, same.p) == (0, 1)
    assert same.low < 0 < same.high


def test_an_average_of_test_sets_weighs_sets_and_not_items():
    small, large = np.ones((2, 10)), np.zeros((2, 1000))
    assert average_interval([small, large]).mean == 0.5


def test_the_restored_share_excludes_none_and_all_exactly_when_the_differences_do():
    rng = np.random.default_rng(8)
    item = rng.random((3, 400))

    def draw(ability):
        return [(item + 0.05 * rng.standard_normal(item.shape) < ability).astype(float)]

    intact, damaged = draw(0.9), draw(0.5)
    for ability in (0.5, 0.7, 0.88, 0.9):
        restored = draw(ability)
        share = restored_fraction(restored, damaged, intact)
        gain = paired_difference(restored, damaged, grouped=True)
        left = paired_difference(intact, restored, grouped=True)
        assert share.low <= share.fraction <= share.high
        assert (share.low > 0) == (gain.low > 0)
        assert (share.high < 1) == (left.low > 0)
    assert restored_fraction(draw(0.7), damaged, intact).fraction == pytest.approx(0.5, abs=0.1)


def test_nothing_lost_bounds_no_share():
    outcomes = [(np.random.default_rng(9).random((3, 100)) < 0.5).astype(float)]
    share = restored_fraction(outcomes, outcomes, outcomes)
    assert (share.low, share.high) == (-math.inf, math.inf)


def test_mcnemar_is_the_sign_test_of_discordant_items():
    a, b = np.array([1, 1, 1, 1, 1, 0, 1, 0]), np.array([0, 0, 0, 0, 0, 1, 1, 0])
    assert mcnemar_exact(a, b) == pytest.approx(stats.binomtest(5, 6).pvalue)
    assert mcnemar_exact(a, a) == 1


def test_holm_steps_down_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    assert max(holm([0.5, 0.9])) <= 1


def test_pass_at_k_is_the_unbiased_estimate():
    for n, c, k in [(10, 3, 1), (10, 3, 4), (10, 3, 8), (128, 1, 64), (5, 0, 3), (5, 5, 1)]:
        exact = 1 - math.comb(n - c, k) / math.comb(n, k)
        assert pass_at_k(n, c, k) == pytest.approx(exact, abs=1e-12)
    assert 0 < pass_at_k(10_000, 1, 128) < 0.02
    with pytest.raises(ValueError, match="pass@k"):
        pass_at_k(10, 3, 11)


@pytest.mark.parametrize("values", [[], [math.nan, 1.0], [[[1.0]]]])
def test_values_that_have_no_mean_are_refused(values):
    with pytest.raises(ValueError, match="non-empty, finite"):
        mean_interval(values)


def test_outcomes_of_different_items_cannot_be_paired():
    with pytest.raises(ValueError, match="same seeds and items"):
        paired_difference(np.ones((3, 10)), np.ones((3, 11)))
