"""Base models that learn facts of their own are compared as such, and questions that differ otherwise are refused."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sdft.common.errors import SdftError
from sdft.evidence.outcomes import Cell, Results, Run
from sdft.evidence.quantities import labelled, paired_groups, quantity

VALUES = [[1, 1, 0, 0]] * 4


def runs(*bases, draws=("",) * 4):
    scores = SimpleNamespace(folder="scores/a")
    return [SimpleNamespace(base=base, draw=draw, scores=scores) for base, draw in zip(bases, draws, strict=True)]


def test_one_test_set_for_all_keeps_its_labels():
    found = labelled(VALUES, runs("a", "a", "b", "b"), 4 * [["x", "x", "y", "z"]])
    assert (found.clusters, found.sets) == (("0", "0", "2", "3"), None)


def test_other_facts_for_each_base_model_are_items_of_their_own():
    found = labelled(VALUES, runs("a", "a", "b", "b"), 2 * [["x", "x", "y", "z"]] + 2 * [["p", "p", "x", "q"]])
    assert found.clusters == ("0", "0", "2", "3")
    assert found.sets[0] == found.sets[1] != found.sets[2] == found.sets[3]


def test_two_base_models_with_the_same_facts_have_one_test_set():
    facts = {"x": ["x", "x", "y", "z"], "p": ["p", "p", "x", "q"]}
    found = labelled(VALUES, runs("a", "b", "c", "a"), [facts[name] for name in "xpxx"])
    assert len(set(found.sets)) == 2
    assert found.sets[0] == found.sets[2] != found.sets[1]


def test_other_facts_for_each_run_are_items_of_its_own():
    facts = [[f"{name}{number}" for name in "xxyz"] for number in range(4)]
    found = labelled(VALUES, runs("a", "a", "b", "b", draws=("", "-1", "", "-1")), facts)
    assert len(set(found.sets)) == 4
    # Two runs that were asked about the same draw of a base model's facts have to have answered the same questions.
    with pytest.raises(SdftError, match="different questions"):
        labelled(VALUES, runs("a", "a", "b", "b", draws=("-1", "-1", "", "-1")), facts)


def test_items_that_do_not_all_say_what_they_are_about_are_items_alone():
    found = labelled(VALUES, runs("a", "a", "b", "b"), [["x", "x", "y", "z"], None, *2 * [["x", None, "y", "z"]]])
    assert (found.clusters, found.sets) == (None, None)


@pytest.mark.parametrize(
    ("bases", "clusters"),
    [
        # Two runs of one base model that were asked about other things.
        ("aabb", [["x", "x", "y", "z"], ["p", "p", "y", "z"], *2 * [["x", "x", "y", "z"]]]),
        # Two base models in which other items belong together.
        ("aabb", 2 * [["x", "x", "y", "z"]] + 2 * [["p", "q", "q", "r"]]),
        # Nothing is known of base models.
        ([None] * 4, 2 * [["x", "x", "y", "z"]] + 2 * [["p", "p", "x", "q"]]),
    ],
)
def test_questions_that_differ_otherwise_are_refused(bases, clusters):
    with pytest.raises(SdftError, match="different questions"):
        labelled(VALUES, runs(*bases), clusters)


class Scored(dict):
    folder = "scores/a"


def cell(arm, facts):
    """An arm's runs from the base models a and b, each asked about its own facts."""
    asked = {base: SimpleNamespace(ids=("q0", "q1"), outcomes=np.ones(2), clusters=own) for base, own in facts.items()}
    runs = tuple(Run(f"{arm}-{seed}", seed, Scored(science=asked[base]), base) for seed, base in enumerate(("a", "b")))
    return Cell("science", arm, arm, runs)


def test_two_arms_are_paired_only_where_every_base_model_answered_the_same_questions():
    facts = {"a": ("x", "y"), "b": ("p", "q")}
    measured = quantity("new_task", "science")
    seeds, (one, other) = paired_groups([cell("sft", facts), cell("sdft", facts)], measured)
    assert (seeds, one[0].sets) == ([0, 1], other[0].sets)
    # A base model has to be asked about the facts that its seed has learnt.
    later = cell("sdft", facts | {"b": ("p", "z")})
    later = replace(later, runs=(later.runs[0], replace(later.runs[1], draw="-1001")))
    with pytest.raises(SdftError, match="different questions"):
        paired_groups([cell("sft", facts), later], measured)
    # The second base model's scores are of other facts than its partner's.
    with pytest.raises(SdftError, match="different questions"):
        paired_groups([cell("sft", facts), cell("sdft", facts | {"b": ("p", "z")})], measured)


def test_two_sizes_are_paired_though_their_base_models_have_other_facts():
    sizes = [cell("sft", {"a": ("x", "y"), "b": ("p", "q")}), cell("sft.l", {"a": ("r", "s"), "b": ("t", "u")})]
    large = replace(sizes[1], runs=tuple(replace(run, base=f"large-{run.base}") for run in sizes[1].runs))
    seeds, (one, other) = paired_groups([sizes[0], large], quantity("new_task", "science"))
    assert seeds == [0, 1]
    assert set(one[0].sets).isdisjoint(other[0].sets)


def test_the_base_models_beside_runs_were_asked_about_what_these_learnt():
    facts = {"a": ("x", "y"), "b": ("p", "q")}
    (first, second), arm = cell("base", facts).runs, cell("sft", facts)
    later = replace(first, seed=2, draw="-1001")
    base = (replace(first, name="a"), replace(second, name="b"), replace(later, name="a"))
    exhibit = SimpleNamespace(enabled=True)

    def found(runs):
        asked, every = Results(exhibit, base=base, cells=(replace(arm, runs=runs),)).reference("science")
        assert every.runs == base
        return [run.seed for run in asked.runs]

    assert found(arm.runs) == [0, 1]
    assert found((replace(arm.runs[0], seed=2, draw="-1001"),)) == [2]
    assert Results(SimpleNamespace(enabled=False), base=base).reference("science") is None
