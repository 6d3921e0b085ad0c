"""An edit reruns what it decides and nothing else: seen by dry runs over a finished study."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("house")]


def test_a_message_a_help_text_and_a_comment_rerun_nothing(house):
    house.edit("sdft/train.py", "what to train", "the run to train")
    house.edit("sdft/learning/loop.py", "does not fit into the memory of", "is too large for the memory of")
    for path in ("sdft/learning/loop.py", "sdft/divergence.py", "sdft/methods/sdft.py", "sdft/scoring/science.py"):
        file = house.folder / path
        file.write_text(file.read_text() + "\n# A remark.\n")
    (house.folder / "sdft/losses/unused.py").write_text("VALUE = 1\n")
    assert house.planned() == []


def test_a_constant_of_one_method_s_loss_trains_that_method_again_and_no_other(house):
    file = house.folder / "sdft/methods/sdft.py"
    file.write_text(file.read_text() + "\nSCALE = 2\n")
    planned = house.remade()
    assert {rule for rule, _ in planned} >= {"candidate", "train", "evaluate"}
    assert [path for _, path in planned if "sdft" not in path] == []


def test_a_constant_of_a_scorer_measures_again_and_makes_no_data_or_base_model(house):
    file = house.folder / "sdft/scoring/science.py"
    file.write_text(file.read_text() + "\nSCALE = 2\n")
    planned = house.remade()
    assert {rule for rule, _ in planned} >= {"evaluate", "evaluate_base"}
    assert [path for _, path in planned if path.startswith(("data", "base"))] == []


def test_a_constant_of_the_loop_trains_everything_again_and_no_base_model_is_measured_again(house):
    house.edit("sdft/learning/loop.py", "DISTANCE_STEPS = 10", "DISTANCE_STEPS = 11")
    planned = house.remade()
    trained = [path for rule, path in planned if rule in ("candidate", "train")]
    assert len(trained) == 4
    assert not {rule for rule, _ in planned} & {"evaluate_base", "miniature_task", "base_released"}
