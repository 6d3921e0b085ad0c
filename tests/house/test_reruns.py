"""An edit reruns what it decides and nothing else: seen by dry runs over a finished study."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("house")]


def append(house, path):
    """Give a module of the code one more constant."""
    file = house.folder / path
    file.write_text(file.read_text() + "\nSCALE = 2\n")


def test_a_message_a_help_text_and_a_comment_rerun_nothing(house):
    house.edit("sdft/train.py", "what to train", "the run to train")
    house.edit("sdft/learning/loop.py", "does not fit into the memory of", "is too large for the memory of")
    for path in ("sdft/learning/loop.py", "sdft/divergence.py", "sdft/methods/sdft.py", "sdft/scoring/science.py"):
        file = house.folder / path
        file.write_text(file.read_text() + "\n# A remark.\n")
    (house.folder / "sdft/losses/unused.py").write_text("VALUE = 1\n")
    assert house.planned() == []


def test_a_constant_of_one_method_trains_and_measures_that_method_again_and_no_other(house):
    append(house, "sdft/methods/sdft.py")
    paths = [path for _, path in house.remade()]
    assert {path.split("/")[0] for path in paths} >= {"sweep", "runs", "scores"}
    assert [path for path in paths if "-sdft-" not in path and "/sdft" not in path] == []


def test_a_constant_of_a_scorer_measures_again_and_makes_no_data_and_no_base_model(house):
    append(house, "sdft/scoring/science.py")
    paths = [path for _, path in house.remade()]
    assert any(path.startswith("scores/base") for path in paths)
    assert any("-sft-" in path for path in paths)
    assert any("-sdft-" in path for path in paths)
    assert [path for path in paths if path.startswith(("data", "base"))] == []


def test_a_constant_of_the_loop_trains_everything_again_and_measures_no_base_model(house):
    append(house, "sdft/learning/loop.py")
    planned = house.remade()
    assert len([path for rule, path in planned if rule in ("candidate", "train")]) == 4
    assert [path for _, path in planned if path.startswith(("data", "base", "scores/base"))] == []
