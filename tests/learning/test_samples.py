"""What student and teacher say is kept for a reader, and keeping it changes nothing."""

from __future__ import annotations

import json

import pytest
import torch
from conftest import make_spec
from safetensors.torch import load_file

from sdft.learning import loop
from sdft.train import train


@pytest.mark.parametrize("method", ["sft", "sdft"])
def test_a_run_keeps_what_student_and_teacher_say_and_has_the_same_weights_without(
    world, tmp_path, method, monkeypatch
):
    train(make_spec(world, method), tmp_path / "with", quiet=True)
    record = json.loads((tmp_path / "with/rollouts.json").read_text())
    assert [entry["at"] for entry in record["samples"]] == ["start", "start", "end", "end"]
    for entry in record["samples"]:
        said = entry["student"]
        assert 0 < len(said["tokens"]) == len(said["divergence"]) <= 6
        assert all(value >= 0 for value in said["divergence"])
        assert entry["question"].startswith("w")
        assert entry["teacher"]
    monkeypatch.setattr(loop.Training, "_show", lambda *_: None)
    train(make_spec(world, method), tmp_path / "without", quiet=True)
    assert not (tmp_path / "without/rollouts.json").exists()
    one, other = (load_file(tmp_path / name / "weights/model.safetensors") for name in ("with", "without"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("method", "changes"), [("cpt", {}), ("sft", {"study": "sweep"})])
def test_texts_without_questions_and_candidates_of_a_sweep_keep_nothing(world, tmp_path, method, changes):
    train(make_spec(world, method, **changes), tmp_path, quiet=True)
    assert not (tmp_path / "rollouts.json").exists()
