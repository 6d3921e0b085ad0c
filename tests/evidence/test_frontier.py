"""Statistics of the whole sweep, and what designs its spreads can decide."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sdft.evidence.exhibits import frontier, power
from sdft.evidence.outcomes import results_of
from sdft.pages import tables
from sdft.study.exhibits.schema import Exhibit

SEEDS = [0, 1, 2, 3]
BASES = ["m-s0", "m-s1", "m-s0", "m-s1"]


def sweep(folder, task, arm, points):
    """A selection whose candidates have these (rate, scores a run, priors a run)."""
    path = folder / f"selected/{task}/{arm}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    ranking = [
        {
            "run": f"{arm}-{rate}-s0",
            "runs": [f"{arm}-{rate}-s{seed}" for seed in SEEDS],
            "hyperparameters": {"learning_rate": rate, "ema_rate": None, "epochs": 5, "batch_size": 16},
            "by_run": scores,
            "prior_by_run": priors,
            "seeds": SEEDS,
            "bases": BASES,
            "validation": float(np.mean(scores)),
            "prior_average": float(np.mean(priors)),
        }
        for rate, scores, priors in points
    ]
    path.write_text(json.dumps({"ranking": ranking, "winner": ranking[0]["hyperparameters"]}))
    return {"task": task, "arm": arm, "method": arm, "selected": str(path), "runs": []}


@pytest.fixture
def plan(tmp_path):
    cells = [
        sweep(tmp_path, "science", "sft", [(1e-3, [0.6] * 4, [0.9] * 4), (4e-3, [0.9, 0.8, 0.9, 0.8], [0.5] * 4)]),
        sweep(tmp_path, "science", "sdft", [(1e-3, [0.7] * 4, [1.0] * 4), (2e-3, [0.9] * 4, [0.9, 0.9, 0.8, 0.8])]),
    ]
    fields = {"scale": "mini", "study": "table5", "evidence": "own", "notice": "Numbers of a test.", "cells": cells}
    return lambda name: Exhibit(name=name, **fields)


def test_the_dominated_area_is_that_of_the_union_of_rectangles():
    rng = np.random.default_rng(0)
    scores, priors = rng.random(6), rng.random(6)
    drawn = rng.random((200_000, 2))
    inside = ((drawn[:, :1] <= scores) & (drawn[:, 1:] <= priors)).any(axis=1)
    assert frontier.area(scores, priors) == pytest.approx(inside.mean(), abs=5e-3)
    assert frontier.area(np.array([0.5, 0.4]), np.array([0.8, 0.7])) == pytest.approx(0.4)


def test_the_prior_at_an_accuracy_is_the_highest_among_those_that_reach_it(plan):
    own = frontier.sweeps(results_of(plan("frontier")), "science")
    assert frontier.by_run(own["sft"], "prior_at_50%") == pytest.approx([90, 90, 90, 90])
    assert frontier.by_run(own["sft"], "prior_at_80%") == pytest.approx([50, 50, 50, 50])
    assert frontier.by_run(own["sdft"], "prior_at_80%") == pytest.approx([90, 90, 80, 80])
    found = frontier.difference(own["sdft"], own["sft"], "prior_at_80%")
    assert found.interval.mean == pytest.approx(35)
    assert set(found.readings) == {"these_bases", "any_base"}


def test_a_run_that_does_not_reach_an_accuracy_is_left_out_of_its_difference(plan, tmp_path):
    cells = plan("frontier").cells
    low = sweep(tmp_path, "science", "sft", [(1e-3, [0.9, 0.9, 0.9, 0.1], [0.5] * 4)])
    own = frontier.sweeps(results_of(plan("frontier").model_copy(update={"cells": [cells[1]]})), "science")
    exhibit = Exhibit.model_validate(plan("frontier").model_dump() | {"cells": [low]})
    other = frontier.sweeps(results_of(exhibit), "science")["sft"]
    assert frontier.difference(own["sdft"], other, "prior_at_80%").seeds == (0, 1, 2)


def test_the_gentlest_is_within_a_standard_error_of_the_best(plan):
    own = frontier.sweeps(results_of(plan("frontier")), "science")
    assert frontier.gentlest(own["sft"])["hyperparameters"]["learning_rate"] == 4e-3
    near = frontier.Sweep(
        "sft",
        "sft",
        own["sft"].values,
        np.array([[0.84, 0.82, 0.84, 0.82], [0.9, 0.78, 0.9, 0.78]]),
        own["sft"].priors,
        *(own["sft"].seeds, own["sft"].bases),
    )
    assert frontier.gentlest(near)["hyperparameters"]["learning_rate"] == 1e-3


def test_the_power_of_a_design_follows_from_the_spreads_of_the_sweep(plan):
    (new, prior) = power.rows(results_of(plan("power")))
    assert new["by_seed"] == pytest.approx([0.0, 10.0, 0.0, 10.0], abs=1e-6)
    assert new["components"]["seed"] == pytest.approx(0, abs=1e-6)
    assert new["components"]["base"] == pytest.approx(10 / 2**0.5)
    designs = {(entry["bases"], entry["seeds"]): entry for entry in new["designs"]}
    assert designs[8, 2]["any_base"] < designs[5, 2]["any_base"] < designs[3, 1]["any_base"]
    assert designs[5, 1]["these_bases"] is None
    assert prior["metric"] == "prior_average"


@pytest.mark.parametrize("name", ["frontier", "power"])
def test_the_tables_are_written_and_say_not_run_where_there_is_no_sweep(plan, tmp_path, name):
    exhibit = plan(name)
    for out, cells in (("there", exhibit.cells), ("absent", [])):
        (tmp_path / "plan.json").write_text(exhibit.model_copy(update={"cells": cells}).model_dump_json())
        tables.main(["--plan", str(tmp_path / "plan.json"), "--out", str(tmp_path / out)])
    text = (tmp_path / "there/table.md").read_text()
    assert "Numbers of a test." in text
    assert "Science" in text
    assert "NOT RUN" not in text
    assert "NOT RUN" in (tmp_path / "absent/table.md").read_text()
