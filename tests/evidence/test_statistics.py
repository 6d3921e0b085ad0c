"""Intervals cover what they promise, pairing helps, and special cases agree with textbook tests."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from sdft.statistics import (
    Outcomes,
    average_interval,
    average_readings,
    counted,
    holm,
    mcnemar_exact,
    mean_interval,
    paired_difference,
    paired_readings,
    pass_at_k,
    restored_fraction,
    variance_components,
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


@pytest.mark.slow
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


def crossed(rng, bases, seeds, items, sd_base=0.0, sd_seed=0.0, clusters=None, mean=0.5):
    """Continuous outcomes of `seeds` runs of each base model, with items in `clusters` that answer alike."""
    labels = tuple(f"b{number // seeds}" for number in range(bases * seeds))
    groups = np.arange(items) % clusters if clusters else np.arange(items)
    values = mean + np.repeat(sd_base * rng.standard_normal(bases), seeds)[:, None]
    values = (
        values + sd_seed * rng.standard_normal((bases * seeds, 1)) + 0.2 * rng.standard_normal(groups.max() + 1)[groups]
    )
    return Outcomes(values, labels, tuple(map(str, groups)) if clusters else None)


@pytest.mark.slow
@pytest.mark.parametrize(("reading", "truth"), [("these_bases", "own"), ("any_base", "all")])
def test_each_reading_covers_what_it_speaks_of(reading, truth):
    rng = np.random.default_rng(5)
    covered, repeats = 0, 400
    for _ in range(repeats):
        bases = 0.3 * rng.standard_normal(5)
        values = (
            np.repeat(bases, 2)[:, None] + 0.1 * rng.standard_normal((10, 1)) + 1e-6 * rng.standard_normal((10, 40))
        )
        outcomes = Outcomes(values, tuple(f"b{number // 2}" for number in range(10)))
        found = average_readings([outcomes])[reading]
        covered += found.low <= (bases.mean() if truth == "own" else 0.0) <= found.high
    assert abs(covered / repeats - 0.95) < 3 * math.sqrt(0.95 * 0.05 / repeats)


def test_a_base_models_spread_widens_the_reading_for_any_base_and_no_other():
    rng = np.random.default_rng(6)
    spread = crossed(rng, 5, 2, 30, sd_base=0.3, sd_seed=0.01)
    found = paired_readings(spread, 0.0 * spread)
    assert width(found["these_bases"]) < 0.5 * width(found["any_base"])
    assert (found["these_bases"].df_seeds, found["any_base"].df_seeds) == (5, 4)
    assert counted(found) is found["these_bases"]


def test_one_seed_a_base_model_has_no_reading_on_these_bases_and_one_base_model_none_for_any():
    rng = np.random.default_rng(7)
    assert set(paired_readings(*2 * [crossed(rng, 3, 1, 20)])) == {"any_base"}
    assert set(paired_readings(*2 * [crossed(rng, 1, 3, 20)])) == {"these_bases"}


def test_items_that_answer_alike_count_as_one():
    rng = np.random.default_rng(8)
    copies = crossed(rng, 1, 3, 200, sd_seed=1e-6, clusters=10)
    alone = replace(copies, clusters=None)
    assert average_interval([copies]).mean == pytest.approx(average_interval([alone]).mean)
    assert width(average_interval([copies])) > 3 * width(average_interval([alone]))
    once = Outcomes(copies.values[:, :10], copies.bases)
    assert average_interval([copies]).se_items == pytest.approx(average_interval([once]).se_items)


def test_the_interval_of_clusters_of_unequal_size_covers_the_mean_over_items():
    rng = np.random.default_rng(9)
    sizes = np.tile([1, 2, 9], 20)
    labels = tuple(map(str, np.repeat(np.arange(60), sizes)))
    covered, repeats = 0, 300
    for _ in range(repeats):
        # Large clusters are harder, so the mean over items is not that over clusters.
        truth = np.repeat(0.8 - 0.05 * sizes, sizes)
        values = truth + np.repeat(0.1 * rng.standard_normal(60), sizes)
        found = average_interval([Outcomes(values[None], None, labels)])
        covered += found.low <= truth.mean() <= found.high
    assert covered / repeats > 0.95 - 3 * math.sqrt(0.95 * 0.05 / repeats)


def test_a_cluster_weighs_as_many_items_as_it_has():
    rng = np.random.default_rng(12)
    sizes = np.tile([1, 2, 9], 20)
    labels = tuple(map(str, np.repeat(np.arange(60), sizes)))
    found = [
        average_interval([Outcomes(0.5 + np.repeat(0.1 * rng.standard_normal(60), sizes)[None], None, labels)])
        for _ in range(200)
    ]
    spread = np.std([interval.mean for interval in found])
    assert np.mean([interval.se_items for interval in found]) == pytest.approx(spread, rel=0.15)


def test_the_spread_of_bases_and_seeds_is_told_apart():
    rng = np.random.default_rng(10)
    found = [variance_components(crossed(rng, 30, 3, 20, sd_base=0.4, sd_seed=0.1)) for _ in range(20)]
    assert np.mean([parts["base"] for parts in found]) == pytest.approx(0.4, rel=0.1)
    assert np.mean([parts["seed"] for parts in found]) == pytest.approx(0.1, rel=0.1)
    assert variance_components(crossed(rng, 3, 1, 20))["seed"] is None
    assert variance_components(crossed(rng, 1, 3, 20))["base"] is None


def test_p_values_agree_with_the_interval_at_every_edge():
    rng = np.random.default_rng(11)
    interval = paired_difference(rng.standard_normal((4, 50)) + 0.2, np.zeros((4, 50)))
    for edge in (interval.low, interval.high):
        assert interval.p_value(edge) == pytest.approx(0.05, abs=1e-6)
    margin = max(abs(interval.low), abs(interval.high))
    assert interval.p_inside(margin) == pytest.approx(0.05, abs=1e-6)
    assert interval.p_inside(1.1 * margin) < 0.05 < interval.p_inside(0.9 * margin)
    assert interval.p_inside(0.5 * abs(interval.mean)) == 1.0


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not label outcomes"):
        Outcomes(np.ones((2, 3)), ("a",))
    with pytest.raises(ValueError, match="same clusters on both sides"):
        paired_difference(Outcomes(np.ones((1, 2)), None, ("a", "b")), Outcomes(np.ones((1, 2)), None, ("a", "a")))


def test_runs_of_two_sizes_are_paired_as_runs_of_the_pair_of_base_models():
    large, small = (Outcomes(np.ones((4, 3)), tuple(f"{size}{number // 2}" for number in range(4))) for size in "ls")
    assert (large - small).bases == ("l0 and s0", "l0 and s0", "l1 and s1", "l1 and s1")


def own_items(rng, bases, seeds, clusters, sd_seed=0.0, sets=None):
    """Outcomes of base models that answer test sets in turn, of clusters with two copies of an item.

    As many test sets as runs: every run has its own.
    """
    labels = tuple(f"b{number // seeds}" for number in range(bases * seeds))
    known = 0.3 * rng.standard_normal((sets or bases, clusters))
    each = 1 if len(known) == bases * seeds else seeds
    answered = [number // each % len(known) for number in range(bases * seeds)]
    values = np.repeat(known[answered], 2, axis=1) + sd_seed * rng.standard_normal((bases * seeds, 1))
    return Outcomes(values, labels, tuple(np.repeat(np.arange(clusters), 2).astype(str)), tuple(map(str, answered)))


def test_items_of_each_base_model_count_together():
    nested = own_items(np.random.default_rng(21), 5, 2, 12, sd_seed=1e-3)
    found = average_readings([nested])
    assert found["these_bases"].df_items == 5 * 11
    assert (found["these_bases"].n_items, found["these_bases"].n_sets) == (5 * 24, 5)
    assert found["these_bases"].se_items == pytest.approx(0.3 / math.sqrt(60), rel=0.25)
    # Items with other contents in each base model agree in nothing, so as those of one test set they count for little.
    shared = average_readings([replace(nested, sets=None)])
    assert shared["these_bases"].se_items < found["these_bases"].se_items
    assert found["any_base"].se_items == 0.0
    assert variance_components(nested)["cluster"] == pytest.approx(0.3, rel=0.25)


@pytest.mark.slow
@pytest.mark.parametrize("sets", [12, 5, 2])
@pytest.mark.parametrize("reading", ["these_bases", "any_base"])
def test_intervals_of_own_items_cover_the_truth(reading, sets):
    rng = np.random.default_rng(22)
    repeats = 400
    found = [average_readings([own_items(rng, 6, 2, 12, 0.02, sets)])[reading] for _ in range(repeats)]
    covered = sum(interval.low <= 0.0 <= interval.high for interval in found) / repeats
    # Howe's combination of two parts, and items that two base models share, make it slightly wide, never narrow.
    assert covered > 0.95 - 3 * math.sqrt(0.95 * 0.05 / repeats)
    wide = 1.25 if reading == "these_bases" else 2.2
    assert np.mean([width(interval) for interval in found]) < wide * 2 * 1.96 * 0.3 / math.sqrt(12 * sets)


def test_the_spread_of_runs_that_have_items_of_their_own_holds_the_choice_of_items():
    each = own_items(np.random.default_rng(24), 3, 4, 12, sd_seed=0.02, sets=12)
    found = average_readings([each])
    for reading in ("these_bases", "any_base"):
        assert found[reading].se_items == 0.0
        assert (found[reading].n_items, found[reading].n_sets) == (12 * 24, 12)
    by_run = [each.values[place : place + 4].mean(axis=1) for place in (0, 4, 8)]
    spread = math.sqrt(np.mean([np.var(own, ddof=1) for own in by_run]) / 12)
    assert found["these_bases"].se_seeds == pytest.approx(spread)
    # One test set that two runs share, and the spread of runs no longer holds all of it.
    shared = replace(each, sets=(each.sets[1], *each.sets[1:]))
    assert average_readings([shared])["these_bases"].se_items > 0
    # Perfect scores keep the interval of their items.
    perfect = replace(each, values=np.ones(each.shape))
    assert paired_readings(perfect, np.ones(each.shape))["these_bases"].se_items > 0


def test_perfect_scores_on_own_items_keep_an_interval_of_all_of_them():
    clusters, bases = tuple(str(item) for item in range(16)), ("a", "a", "b", "b", "c", "c")
    perfect = Outcomes(np.ones((6, 16)), bases, clusters, bases)
    found = [paired_readings(one, np.ones((6, 16)))["these_bases"] for one in (perfect, replace(perfect, sets=None))]
    assert 0 < width(found[0]) == pytest.approx(width(found[1]) / 3, rel=0.1)
    assert width(paired_readings(perfect, np.ones((6, 16)))["any_base"]) > 0


def test_one_test_set_with_a_name_is_one_test_set():
    alone = own_items(np.random.default_rng(23), 3, 2, 12, sd_seed=0.02, sets=1)
    assert average_readings([alone]) == average_readings([replace(alone, sets=None)])


def test_pairs_of_runs_on_two_test_sets_are_pairs_of_both():
    one, other = (own_items(np.random.default_rng(seed), 2, 2, 4, sets=2) for seed in (1, 2))
    moved = replace(other, sets=("0", "0", "7", "7"))
    assert (one - moved).sets == ("0", "0", "1 and 7", "1 and 7")
    assert (one - replace(other, sets=None)).sets == one.sets


def test_some_of_the_runs_keep_their_labels_and_all_items():
    outcomes = Outcomes(np.arange(8.0).reshape(4, 2), ("a", "a", "b", "b"), ("x", "y"), ("0", "0", "1", "1"))
    first, second = outcomes.of_runs(slice(1)), outcomes.of_runs(slice(1, None))
    assert (first.bases, first.sets, first.clusters) == (("a",), ("0",), ("x", "y"))
    assert (second.bases, second.sets, second.clusters) == (("a", "b", "b"), ("0", "1", "1"), ("x", "y"))
    assert np.array_equal(np.concatenate([first.values, second.values]), outcomes.values)
    bare = Outcomes(outcomes.values).of_runs(slice(2))
    assert (bare.bases, bare.sets, bare.clusters) == (None, None, None)


def test_items_vary_about_the_mean_of_their_own_test_set():
    # A base model's level says nothing about items, so each test set has the item error that it has alone.
    nested = own_items(np.random.default_rng(24), 4, 2, 3)
    level = np.repeat(np.arange(4), 2)[:, None]
    moved = replace(nested, values=nested.values + level)
    alone = [average_interval([Outcomes(nested.values[2 * k : 2 * k + 2], clusters=nested.clusters)]) for k in range(4)]
    expected = math.sqrt(sum(one.se_items**2 for one in alone)) / 4
    assert average_readings([moved])["these_bases"].se_items == pytest.approx(expected)
