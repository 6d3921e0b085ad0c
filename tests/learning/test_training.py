"""A run ends with the same weights however often it is interrupted, and says what is wrong with its input."""

from __future__ import annotations

import errno
import itertools
import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from conftest import make_base, make_model, make_records, make_spec, make_tokenizer, read_metrics
from safetensors.torch import load_file

from sdft.common.errors import SdftError
from sdft.common.files import read_json, sha256_file, sha256_files, write_json
from sdft.common.locks import only_writer
from sdft.learning import checkpoint
from sdft.learning.checkpoint import Checkpoints, StopRequest
from sdft.learning.spec import read_spec
from sdft.methods import method_names
from sdft.models.files import find_model, load_model, load_tokenizer
from sdft.records.prompts import render
from sdft.records.record import Record, write_records
from sdft.train import main, train

TIMES = ("seconds", "tokens_per_second", "phases")


def weights(folder):
    return load_file(folder / "weights" / "model.safetensors")


def same_weights(one, other):
    one, other = weights(one), weights(other)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def timeless(folder):
    return [{key: value for key, value in entry.items() if key not in TIMES} for entry in read_metrics(folder)]


@pytest.mark.parametrize("name", ["sft", "sdft"])
def test_what_is_cut_or_left_out_is_said_in_the_log_the_record_and_the_metrics(world, tmp_path, capsys, name):
    longest = {record.id: len(render(make_tokenizer(), record.prompt)) for record in make_records()}
    limit = sorted(longest.values())[5]
    over = sum(length > limit for length in longest.values())
    # The teacher's prompt is longer than any of the student's.
    expected = len(longest) if name == "sdft" else over
    assert 0 < over < len(longest)
    spec = make_spec(world, name, max_prompt_tokens=limit, epochs=1)
    record = train(spec, tmp_path / "cut", quiet=True)
    assert (record["rows"], record["rows_cut"], record["rows_left_out"]) == (12, expected, 0)
    assert sum(entry["cut_rows"] for entry in read_metrics(tmp_path / "cut")) == expected
    assert f"{expected} of 12 rows are too long and are cut from the left" in capsys.readouterr().err
    if name == "sft":
        spec = make_spec(world, name, max_prompt_tokens=limit, epochs=1, overlong="drop", batch_size=1)
        record = train(spec, tmp_path / "dropped", quiet=True)
        assert (record["rows"], record["rows_cut"], record["rows_left_out"]) == (12 - over, 0, over)
        assert f"{over} of 12 rows are too long and are left out" in capsys.readouterr().err


def slowly(spec, out):
    """Train, a little slower, so that a signal finds it at work."""
    from sdft.learning.loop import Training

    original = Training.step

    def step(self, number):
        time.sleep(0.03)
        return original(self, number)

    Training.step = step
    torch.set_num_threads(1)
    train(spec, out, quiet=True)


def interrupted(spec, out, lines, number):
    """Run in another process, send it a signal after so many lines of metrics, and return its exit code."""
    child = multiprocessing.get_context("fork").Process(target=slowly, args=(spec, out))
    child.start()
    path, deadline = out / "metrics.jsonl", time.monotonic() + 60
    while child.is_alive() and time.monotonic() < deadline:
        if path.exists() and len(path.read_text().splitlines()) >= lines:
            os.kill(child.pid, number)
            break
        time.sleep(0.005)
    child.join(60)
    return child.exitcode


@pytest.fixture(scope="module")
def whole(world, tmp_path_factory):
    """An uninterrupted SDFT run of 12 steps."""
    out = tmp_path_factory.mktemp("whole")
    train(make_spec(world, epochs=4), out, quiet=True)
    return out


def test_a_finished_run_is_a_model_that_others_can_load(world, whole):
    record = read_json(whole / "model.json")
    assert record["steps"] == len(read_metrics(whole)) == 12
    assert record["run"]["hyperparameters"]["learning_rate"] == 0.01
    assert record["final"] == read_metrics(whole)[-1]
    assert record["manifest"]["step"] == "train"
    files = find_model(whole / "model.json")
    assert files.sha256 == record["weights"]["sha256"]
    model, tokenizer = load_model(files.folder), load_tokenizer(files.folder)
    start = make_model(0)
    distance = sum(
        float((one - two).detach().pow(2).sum())
        for one, two in zip(model.parameters(), start.parameters(), strict=True)
    )
    assert distance**0.5 == pytest.approx(record["final"]["student_distance"], rel=1e-4)
    chat = [{"role": "user", "content": "w1 w30"}]
    assert tokenizer.apply_chat_template(
        chat, tokenize=True, return_dict=False
    ) == make_tokenizer().apply_chat_template(chat, tokenize=True, return_dict=False)


def test_metrics_tell_what_happened(whole):
    entries = read_metrics(whole)
    assert [entry["step"] for entry in entries] == list(range(1, 13))
    for entry in entries:
        assert entry["loss"] >= 0
        assert 0 < entry["entropy"] < 3.9
        assert 1 <= entry["completion_tokens"] <= 6
        assert entry["importance"] == pytest.approx(1, abs=1e-3)
    assert entries[0]["learning_rate"] == 0 < entries[1]["learning_rate"]
    assert 0 < entries[-1]["teacher_distance"] < entries[-1]["student_distance"]
    assert entries[-1]["changed_weights"] > 0.5


def test_a_finished_run_returns_at_once_and_touches_nothing(world, whole):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file() and path.name != "lock"}
    record = train(make_spec(world, epochs=4, micro_batch_size=2), whole, quiet=True)
    assert record == read_json(whole / "model.json")
    assert before == {
        path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file() and path.name != "lock"
    }


def test_outputs_that_the_workflow_deleted_are_put_back(world, tmp_path):
    spec = make_spec(world, "sft", epochs=1)
    train(spec, tmp_path, quiet=True)
    before = {name: (tmp_path / name).read_bytes() for name in ("model.json", "metrics.jsonl")}
    trained = (tmp_path / "weights").stat().st_ino
    for name in before:
        (tmp_path / name).unlink()
    train(spec, tmp_path, quiet=True)
    assert before == {name: (tmp_path / name).read_bytes() for name in before}
    assert (tmp_path / "weights").stat().st_ino == trained


@pytest.mark.slow
def test_the_same_run_twice_gives_the_same_weights_and_another_seed_others(world, whole, tmp_path):
    train(make_spec(world, epochs=4), tmp_path / "again", quiet=True)
    train(make_spec(world, epochs=4, seed=1), tmp_path / "other", quiet=True)
    assert same_weights(whole, tmp_path / "again")
    assert timeless(whole) == timeless(tmp_path / "again")
    assert not same_weights(whole, tmp_path / "other")


@pytest.mark.parametrize("attempt", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_anywhere_a_run_continues_to_identical_weights(world, whole, tmp_path, attempt):
    spec = make_spec(world, epochs=4, checkpoint_steps=2)
    lines = random.randint(3, 10)
    assert interrupted(spec, tmp_path, lines, signal.SIGKILL) == -signal.SIGKILL, f"killed after {lines} lines"
    assert not (tmp_path / "model.json").exists()
    train(spec, tmp_path, quiet=True)
    assert same_weights(whole, tmp_path), f"killed after {lines} lines"
    assert timeless(whole) == timeless(tmp_path)
    assert not list((tmp_path / "state").glob("step-*"))


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(set(method_names()) - {"sdft", "dft"}))
def test_other_methods_continue_too(world, tmp_path, method):
    spec = make_spec(world, method, epochs=4, checkpoint_steps=1, weights_dtype="bfloat16", optimizer_dtype="float32")
    train(spec, tmp_path / "whole", quiet=True)
    assert interrupted(spec, tmp_path / "cut", 4, signal.SIGKILL) == -signal.SIGKILL
    train(spec, tmp_path / "cut", quiet=True)
    assert same_weights(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.slow
def test_snapshots_are_whole_models_along_the_same_run_also_after_an_interruption(world, whole, tmp_path, capfd):
    spec = make_spec(world, epochs=4, snapshots=4)
    record = train(spec, tmp_path / "kept", quiet=True)
    assert same_weights(whole, tmp_path / "kept")
    assert [(entry["step"], entry["fraction"]) for entry in record["snapshots"]] == [(3, 0.25), (6, 0.5), (9, 0.75)]
    assert read_json(whole / "model.json")["snapshots"] == []
    for entry in record["snapshots"]:
        assert entry["sha256"] == sha256_files(entry["path"])
        weight = load_model(entry["path"]).lm_head.weight
        assert not torch.equal(weight, make_model(0).lm_head.weight)
    assert load_tokenizer(entry["path"]).eos_token_id == 3

    cut = spec.model_copy(update={"settings": spec.settings.model_copy(update={"checkpoint_steps": 2})})
    assert interrupted(cut, tmp_path / "cut", random.randint(3, 10), signal.SIGKILL) == -signal.SIGKILL
    again = train(cut, tmp_path / "cut", quiet=True)
    assert [entry["sha256"] for entry in again["snapshots"]] == [entry["sha256"] for entry in record["snapshots"]]
    assert sorted(path.name for path in (tmp_path / "cut" / "snapshots").iterdir()) == ["3", "6", "9"]

    capfd.readouterr()
    assert train(spec, tmp_path / "cut", quiet=True) == again
    assert capfd.readouterr().err == ""
    train(make_spec(world, epochs=4, snapshots=2), tmp_path / "cut", quiet=True)
    assert "other snapshots than those asked for" in capfd.readouterr().err
    assert [path.name for path in (tmp_path / "cut" / "snapshots").iterdir()] == ["6"]


@pytest.mark.slow
def test_a_run_begun_without_snapshots_starts_afresh_where_they_are_asked_for(world, tmp_path, capfd):
    plain = make_spec(world, "sft", epochs=4, checkpoint_steps=1)
    assert interrupted(plain, tmp_path, 8, signal.SIGTERM) == 143
    record = train(make_spec(world, "sft", epochs=4, snapshots=4), tmp_path, quiet=True)
    assert "were not taken; starting afresh" in capfd.readouterr().err
    assert len(record["snapshots"]) == 3


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_a_polite_signal_saves_a_checkpoint_and_exits_with_its_status(world, whole, tmp_path, capfd, number, status):
    spec = make_spec(world, epochs=4)
    assert interrupted(spec, tmp_path, 3, number) == status
    [place] = (tmp_path / "state").glob("step-*")
    assert len(read_metrics(tmp_path)) == int(place.name.removeprefix("step-"))
    assert "repeat the command to continue" in capfd.readouterr().err
    # Snakemake deletes declared outputs before it repeats a job.
    (tmp_path / "metrics.jsonl").unlink()
    train(spec, tmp_path, quiet=True)
    assert f"continuing sdft-test after step {place.name.removeprefix('step-')}" in capfd.readouterr().err
    assert same_weights(whole, tmp_path)
    assert timeless(whole) == timeless(tmp_path)


def test_many_signals_are_one_request():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert stop.status == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_writer_is_refused_and_told_who_the_first_is(world, tmp_path):
    ready, done = multiprocessing.Event(), multiprocessing.Event()

    def hold():
        with only_writer(tmp_path / "state"):
            ready.set()
            done.wait(30)

    child = multiprocessing.get_context("fork").Process(target=hold)
    child.start()
    ready.wait(30)
    try:
        with pytest.raises(SdftError, match=f"process {child.pid} on host {os.uname().nodename}"):
            train(make_spec(world), tmp_path, quiet=True)
    finally:
        done.set()
        child.join()
    train(make_spec(world, "sft", epochs=1), tmp_path, quiet=True)


def test_a_torn_checkpoint_gives_way_to_the_one_before(tmp_path, capfd):
    store = Checkpoints(tmp_path, "mark")
    for step in (8, 9, 10):
        store.save(step, {"value": torch.full((1000,), step)})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-10", "step-9"]
    state = tmp_path / "step-10" / "state.pt"
    state.write_bytes(state.read_bytes()[:-1])
    (tmp_path / "part-11").mkdir()
    step, found = store.load()
    assert (step, int(found["value"][0])) == (9, 9)
    assert "step-10 is torn" in capfd.readouterr().err
    assert not (tmp_path / "part-11").exists()
    (tmp_path / "step-9" / "record.json").write_text("{")
    assert store.load() is None


def test_a_checkpoint_is_hashed_while_it_is_written_and_not_read_again(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(checkpoint, "sha256_file", lambda path: read.append(path) or sha256_file(path))
    store = Checkpoints(tmp_path, "mark")
    store.save(8, {"value": torch.ones(1000)})
    assert not read
    state = tmp_path / "step-8" / "state.pt"
    assert read_json(state.with_name("record.json"))["sha256"] == {"state.pt": sha256_file(state)}
    assert store.load()[0] == 8
    assert read == [state]


def test_a_checkpoint_on_a_lost_share_is_not_given_up(tmp_path, monkeypatch):
    store = Checkpoints(tmp_path, "mark")
    store.save(8, {"value": torch.ones(3)})

    def lost(path):
        raise OSError(errno.ESTALE, "Stale file handle", str(path))

    monkeypatch.setattr(checkpoint, "sha256_file", lost)
    with pytest.raises(OSError, match="Stale"):
        store.load()
    monkeypatch.undo()
    assert store.load()[0] == 8


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o664), (0o077, 0o600)])
def test_who_may_read_the_weights_is_what_the_umask_says(world, tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        train(make_spec(world, "sft", epochs=1, snapshots=2), tmp_path, quiet=True)
    finally:
        os.umask(before)
    found = list(tmp_path.glob("**/model.safetensors"))
    assert len(found) == 2
    assert {path.stat().st_mode & 0o777 for path in found} == {mode}


def test_a_clock_that_is_set_back_changes_no_training(world, tmp_path, monkeypatch):
    spec = make_spec(world, "sft", checkpoint_steps=2)
    expected = train(spec, tmp_path / "steady", quiet=True)
    now = itertools.count(time.time(), -3600)
    monkeypatch.setattr("time.time", lambda: next(now))
    original = Checkpoints.save

    def stop(self, step, state):
        original(self, step, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        train(spec, tmp_path / "cut", quiet=True)
    monkeypatch.setattr(Checkpoints, "save", original)
    found = train(spec, tmp_path / "cut", quiet=True)
    assert found["steps"] == expected["steps"]
    assert found["manifest"]["seconds"] >= 0
    assert same_weights(tmp_path / "steady", tmp_path / "cut")


def tear(place):
    state = place / "state.pt"
    state.write_bytes(state.read_bytes()[:-1])


def steps(folder):
    return sorted(int(path.name.removeprefix("step-")) for path in folder.glob("step-*"))


def test_a_torn_checkpoint_does_not_take_the_place_of_a_whole_one(tmp_path):
    store = Checkpoints(tmp_path, "mark")
    for step in (40, 50):
        store.save(step, {})
    tear(tmp_path / "step-50")
    store = Checkpoints(tmp_path, "mark")
    assert store.load()[0] == 40
    store.save(45, {})
    assert steps(tmp_path) == [40, 45]
    tear(tmp_path / "step-45")
    assert Checkpoints(tmp_path, "mark").load()[0] == 40
    # What was torn may be written anew.
    store = Checkpoints(tmp_path, "mark")
    store.load()
    store.save(45, {})
    assert Checkpoints(tmp_path, "mark").load()[0] == 45
    for step in (40, 45):
        tear(tmp_path / f"step-{step}")
    store = Checkpoints(tmp_path, "mark")
    assert store.load() is None
    store.save(60, {})
    assert steps(tmp_path) == [60]


def test_a_start_afresh_keeps_its_own_checkpoints(tmp_path):
    for step in (40, 50):
        Checkpoints(tmp_path, "mark").save(step, {})
    store = Checkpoints(tmp_path, "mark")
    store.load()
    store.save(5, {"afresh": True})
    assert steps(tmp_path) == [5]
    store.save(10, {})
    assert steps(tmp_path) == [5, 10]


@pytest.mark.slow
def test_a_start_afresh_for_missing_snapshots_is_itself_continued(world, tmp_path, monkeypatch, capfd):
    from sdft.learning.loop import Training

    original, last = Training.step, 9

    def step(self, number):
        if number == last:
            raise KeyboardInterrupt
        return original(self, number)

    monkeypatch.setattr(Training, "step", step)
    with pytest.raises(KeyboardInterrupt):
        train(make_spec(world, "sft", epochs=4, checkpoint_steps=2), tmp_path, quiet=True)
    assert steps(tmp_path / "state") == [6, 8]
    last = 5
    spec = make_spec(world, "sft", epochs=4, checkpoint_steps=2, snapshots=6)
    with pytest.raises(KeyboardInterrupt):
        train(spec, tmp_path, quiet=True)
    assert "starting afresh" in capfd.readouterr().err
    assert steps(tmp_path / "state") == [2, 4]
    last = None
    train(spec, tmp_path, quiet=True)
    assert "continuing sft-test after step 4" in capfd.readouterr().err


def test_a_checkpoint_of_other_settings_is_not_continued(tmp_path, capfd):
    Checkpoints(tmp_path, "one").save(3, {})
    assert Checkpoints(tmp_path, "other").load() is None
    assert "other settings, code or data; starting afresh" in capfd.readouterr().err
    assert Checkpoints(tmp_path, "one").load() is None


@pytest.mark.parametrize("changes", [{"seed": 1}, {"learning_rate": 0.02}, {"skip_tokens": 2}, {"max_new_tokens": 5}])
def test_what_decides_the_result_makes_another_run(world, whole, changes):
    from sdft.learning.spec import Inputs, fingerprint

    spec, other = make_spec(world, epochs=4), make_spec(world, epochs=4, **changes)
    same = make_spec(world, epochs=4, micro_batch_size=1, checkpoint_minutes=1, id="another-name")
    assert (
        fingerprint(spec, Inputs(spec))
        == fingerprint(same, Inputs(same))
        == read_json(whole / "model.json")["fingerprint"]
    )
    assert fingerprint(other, Inputs(other)) != fingerprint(spec, Inputs(spec))


def test_changed_data_or_damaged_weights_train_again(world, tmp_path, capfd):
    data = tmp_path / "train.jsonl"
    write_records(data, make_records(8))
    spec = make_spec(world, "sft", epochs=1, data={"train": str(data)})
    first = train(spec, tmp_path / "run", quiet=True)
    path = tmp_path / "run" / "weights" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert train(spec, tmp_path / "run", quiet=True)["weights"] == first["weights"]
    assert "damaged" in capfd.readouterr().err
    write_records(data, make_records(9))
    assert train(spec, tmp_path / "run", quiet=True)["weights"] != first["weights"]
    assert "other settings, code or data" in capfd.readouterr().err


@pytest.mark.slow
def test_micro_batches_and_gradient_checkpointing_do_not_change_the_result(world, tmp_path):
    plain = make_spec(world, epochs=1)
    frugal = make_spec(world, epochs=1, micro_batch_size=3, gradient_checkpointing=True)
    for name, spec in (("plain", plain), ("frugal", frugal)):
        train(spec, tmp_path / name, quiet=True)
    one, other = weights(tmp_path / "plain"), weights(tmp_path / "frugal")
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-4)
    for left, right in zip(timeless(tmp_path / "plain"), timeless(tmp_path / "frugal"), strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-3)
        assert left["entropy"] == pytest.approx(right["entropy"], rel=1e-3)


@pytest.mark.parametrize(
    "settings",
    [
        {"compute_dtype": "bfloat16"},
        {"weights_dtype": "bfloat16", "optimizer_dtype": "bfloat16", "ema_dtype": "bfloat16"},
        {"weights_dtype": "bfloat16"},
        {"divergence": "reverse_kl", "importance_clip": None},
        {"divergence": "jsd", "temperature": 0.8, "overlong": "drop"},
        {"teacher": "base", "schedule": "linear"},
        {"estimator": "rao_blackwell", "divergence": "reverse_kl", "loss_reduction": "token_sum"},
        {"teacher": "student", "loss_reduction": "token_sum", "schedule": "constant", "drop_last": False},
    ],
    ids=str,
)
def test_every_choice_of_the_settings_trains(world, tmp_path, settings):
    record = train(make_spec(world, epochs=1, **settings), tmp_path, quiet=True)
    assert record["final"]["student_distance"] > 0
    expected = settings.get("weights_dtype", "float32")
    assert str(weights(tmp_path)["model.norm.weight"].dtype) == f"torch.{expected}"


def test_hyperparameters_come_from_the_selection(world, tmp_path):
    winner = {"learning_rate": 0.02, "batch_size": 6, "epochs": 1, "ema_rate": 0.1}
    write_json(tmp_path / "selected.json", {"winner": winner})
    spec = make_spec(world, hyperparameters=None, selected=str(tmp_path / "selected.json"))
    record = train(spec, tmp_path / "run", quiet=True)
    assert record["run"]["hyperparameters"] == winner
    assert record["steps"] == 2
    longer = train(spec.model_copy(update={"replace": {"epochs": 3}}), tmp_path / "longer", quiet=True)
    assert longer["run"]["hyperparameters"] == winner | {"epochs": 3}
    assert longer["steps"] == 6
    write_json(tmp_path / "selected.json", {"ranking": []})
    with pytest.raises(SdftError, match=r"selected.json has no 'winner'"):
        train(spec, tmp_path / "other", quiet=True)
    with pytest.raises(SdftError, match="neither hyperparameters nor a file"):
        train(make_spec(world, hyperparameters=None), tmp_path / "other", quiet=True)


def test_the_command_reads_a_run_and_takes_speed_from_its_options(world, tmp_path, capsys):
    path = tmp_path / "run.json"
    path.write_text(make_spec(world, "sft", epochs=1).model_dump_json())
    main(["--run", str(path), "--out", str(tmp_path / "out"), "--micro-batch-size", "2"])
    record = read_json(tmp_path / "out" / "model.json")
    assert record["run"]["settings"]["micro_batch_size"] == 2
    assert "3 of 3" in (err := capsys.readouterr().err)
    assert "model.json: 3 steps" in err
    with pytest.raises(SdftError, match="micro_batch_size"):
        main(["--run", str(path), "--out", str(tmp_path / "out"), "--micro-batch-size", "0"])
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"sead": 1}))
    with pytest.raises(SdftError, match=r"run.json is not a run: sead: "):
        read_spec(path)


def refuse(world, tmp_path, match, method="sdft", **changes):
    with pytest.raises(SdftError, match=match):
        train(make_spec(world, method, **changes), tmp_path / "out", quiet=True)
    assert not (tmp_path / "out" / "model.json").exists()


def test_bad_base_models_are_refused_before_anything_is_trained(world, tmp_path):
    ready = make_base(tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-8])
    refuse(world, tmp_path, "model.safetensors has sha256", base_ready=str(ready))
    file.unlink()
    refuse(world, tmp_path, "model.safetensors is missing", base_ready=str(ready))
    file.write_bytes(content)
    refuse(world, tmp_path, "absent.json does not exist", base_ready=str(tmp_path / "absent.json"))
    refuse(world, tmp_path, "nowhere/model.json does not exist", "sft_reinvoke", parent="nowhere/model.json")


def test_a_tokenizer_without_chat_template_is_refused(world, tmp_path):
    ready = make_base(tmp_path / "model")
    (tmp_path / "model" / "chat_template.jinja").unlink()
    record = read_json(ready)
    del record["sha256"]["chat_template.jinja"]
    write_json(ready, record)
    refuse(world, tmp_path, "no chat template", base_ready=str(ready))


def test_bad_data_are_named(world, tmp_path):
    data = tmp_path / "train.jsonl"
    refuse(world, tmp_path, r"train.jsonl does not exist", data={"train": str(data)})
    data.write_text("")
    refuse(world, tmp_path, "train.jsonl.* no rows", data={"train": str(data)})
    write_records(data, make_records(3))
    refuse(world, tmp_path, "3 rows to train on, which do not fill one batch of 4", data={"train": str(data)})
    refuse(world, tmp_path, r"needs data.prompts", "sft_reinvoke", data={"train": str(data)})
    refuse(world, tmp_path, "no demonstration of style 'golden'", demonstration="golden")
    long = Record("long-row", [{"role": "user", "content": "w1"}], {"shared": "w2 " * 100})
    write_records(data, [*make_records(5), long])
    refuse(
        world,
        tmp_path,
        "record 'long-row': the teacher's prompt with the",
        data={"train": str(data)},
        max_new_tokens=20,
        overlong="error",
    )
    refuse(world, tmp_path, "'oracle_rag' cannot be trained", "oracle_rag")
    for method in ("sdft", "offline_distillation", "off_policy_fresh"):
        refuse(world, tmp_path, "no ema_rate", method, ema_rate=None)
    sampled = {"estimator": "token", "divergence": "reverse_kl", "loss_reduction": "token_sum"}
    refuse(world, tmp_path, "estimator token weighs the student's own", "off_policy_fresh", **sampled)


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(world, tmp_path):
    refuse(
        world,
        tmp_path,
        r"step 2 of 6: the (student|model)'s .* not a number; lower",
        learning_rate=1e30,
        warmup_steps=0,
    )
    refuse(world, tmp_path, r"step 2 of 6: the loss is nan", "sft", learning_rate=1e30, warmup_steps=0)


@pytest.mark.slow
def test_a_full_disk_is_told_and_the_run_continues_later(world, whole, tmp_path, monkeypatch):
    spec = make_spec(world, epochs=4, checkpoint_steps=2)
    save, calls = torch.save, []

    def full(state, handle):
        calls.append(1)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(state, handle)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(SdftError, match=r"the disk is full.*free some space.*continues from"):
        train(spec, tmp_path, quiet=True)
    train(spec, tmp_path, quiet=True)
    assert same_weights(whole, tmp_path)


def test_an_architecture_with_capped_logits_is_refused(tmp_path):
    from sdft.learning.loop import _check_head

    model = make_model()
    _check_head(model, Path("model"))
    forward = model.forward

    def capped(*args, **kwargs):
        output = forward(*args, **kwargs)
        output.logits = torch.tanh(output.logits)
        return output

    model.forward = capped
    with pytest.raises(SdftError, match="scales, caps or shifts"):
        _check_head(model, Path("model"))
