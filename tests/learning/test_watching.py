"""What watches a training changes nothing of it, and warns where teacher and student collapse onto each other."""

from __future__ import annotations

import pytest
from conftest import make_spec, read_metrics

from sdft.common.errors import SdftError
from sdft.learning.monitor import WINDOW, CollapseMonitor
from sdft.train import train


def looked(divergences, **values):
    monitor = CollapseMonitor()
    entries = [
        {"step": step, "token_loss": value, "entropy": 0.5, "completion_tokens": 9} | values
        for step, value in enumerate(divergences, start=1)
    ]
    return [step["step"] for step in entries if monitor.look(step)], monitor


def test_a_collapse_is_told_once_at_the_step_where_the_mean_has_fallen():
    said, monitor = looked([0.5] * 30 + [0.001] * 30)
    assert said == [30 + WINDOW]
    assert monitor.warning["divergence_at_start"] == 0.5


@pytest.mark.parametrize("divergences", [[0.5] * 60, [0.5] * 20 + [0.05] * 60, [0.5] * 20 + [0.0] * 5, [0.0] * 60])
def test_a_training_that_merely_learns_is_no_collapse(divergences):
    assert looked(divergences)[0] == []


@pytest.mark.slow
def test_a_probe_measures_both_models_and_changes_no_step(world, tmp_path):
    plain = train(make_spec(world), tmp_path / "plain", quiet=True)
    probed = train(make_spec(world, probe_rows=4), tmp_path / "probed", quiet=True)
    assert plain["weights"]["sha256"] == probed["weights"]["sha256"]
    entries = read_metrics(tmp_path / "probed")
    assert {"teacher_accuracy", "student_accuracy"} <= entries[0].keys() & entries[-1].keys()
    assert all(0 <= entry["teacher_accuracy"] <= 1 for entry in entries if "teacher_accuracy" in entry)
    assert "teacher_accuracy" not in read_metrics(tmp_path / "plain")[0]


def test_a_tracker_whose_library_is_absent_is_refused_with_the_remedy(world, tmp_path, monkeypatch):
    monkeypatch.setattr("accelerate.tracking.get_available_trackers", list)
    with pytest.raises(SdftError, match="pip install trackio"):
        train(make_spec(world, "sft", tracker="trackio"), tmp_path / "run", quiet=True)


def test_a_tracker_is_told_every_step_and_changes_none(world, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    plain = train(make_spec(world, "sft"), tmp_path / "plain", quiet=True)
    told = train(make_spec(world, "sft", tracker="tensorboard"), tmp_path / "told", quiet=True)
    assert told["weights"]["sha256"] == plain["weights"]["sha256"]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = next((tmp_path / "told/tracking").rglob("events*")).parent
    events = EventAccumulator(str(folder))
    events.Reload()
    losses = [event.value for event in events.Scalars("loss")]
    assert losses == pytest.approx([entry["loss"] for entry in read_metrics(tmp_path / "told")])
