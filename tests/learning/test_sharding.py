"""A run cut over two processes gives the numbers of one, is interrupted and continued like one, and writes once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import make_base, make_model, make_records, make_spec, read_metrics
from safetensors.torch import load_file

from sdft.common.files import read_json
from sdft.learning.launch import launch
from sdft.learning.parts import parts
from sdft.learning.processes import SingleProcess
from sdft.learning.samples import ROLLOUTS
from sdft.records.record import write_records
from sdft.train import train

ROOT = Path(__file__).parents[2]

# One device adds up a gradient in another order than two do; Adam's first steps enlarge that. Losses are in nats.
LOSS = {"rel": 1e-4, "abs": 1e-5}
# A last bit of bfloat16 is 0.4 %. Where a draw falls near the edge of two words, it takes the other one, and the text
# goes on otherwise: what is compared are then losses of other texts of one model.
ROUGH = {"rel": 0.4, "abs": 0.05}
WEIGHTS = {"rtol": 1e-3, "atol": 1e-4}

RUNS = {
    "sft": ("sft", {}),
    "sdft": ("sdft", {}),
    # Rows that two processes share unevenly, in micro-batches, with a last batch of one row.
    "uneven": ("sdft", {"batch_size": 5, "drop_last": False, "micro_batch_tokens": 60, "gradient_checkpointing": True}),
    "mixed": ("sdft", {"weights_dtype": "bfloat16", "optimizer_dtype": "float32", "ema_dtype": "float32"}),
    "reinvoke": ("sft_reinvoke", {"batch_size": 4}),
    "student": ("sdft", {"teacher": "student", "compute_dtype": "bfloat16"}),
}

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def start(*arguments):
    """Start Python without a GPU."""
    command = [sys.executable, *arguments]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        list(map(str, command)), cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process, seconds=600):
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        raise AssertionError(f"not within {seconds} s: {process.communicate()[0][-3000:]}") from None
    return process.returncode, said


@pytest.fixture(scope="module")
def runs(world, tmp_path_factory):
    """Each of RUNS by one process (one/NAME) and by two (two/NAME); 11 rows, so that the last batch has one.

    two/long is a run of 30 steps with checkpoints.
    """
    folder = tmp_path_factory.mktemp("runs")
    write_records(folder / "train.jsonl", make_records(11))
    untied = make_base(folder / "untied", tie_word_embeddings=False)
    arguments = []
    for name, (method, changes) in RUNS.items():
        data = {"train": str(folder / "train.jsonl"), "prompts": str(world / "prompts.jsonl")}
        base = {"base_ready": str(untied)} if name == "uneven" else {}
        spec = make_spec(world, method, data=data, **base, **changes)
        train(spec, folder / "one" / name, quiet=True)
        path = folder / f"{name}.json"
        path.write_text(spec.model_dump_json())
        arguments += [path, folder / "two" / name]
    (folder / "long.json").write_text(make_spec(world, epochs=10, checkpoint_steps=3).model_dump_json())
    arguments += [folder / "long.json", folder / "two/long"]
    status, said = finish(start(*TORCHRUN, Path(__file__).with_name("sharded.py"), *arguments))
    assert status == 0, said[-3000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_two_processes_give_the_numbers_of_one(runs, name):
    one, two = (read_metrics(runs / count / name) for count in ("one", "two"))
    assert len(one) == len(two) > 2
    rough = name in ("mixed", "student")
    for left, right in zip(one, two, strict=True):
        assert right["completion_tokens"] == pytest.approx(left["completion_tokens"], rel=0.3 if rough else 0)
        for key in ("loss", "entropy") if rough else ("loss", "entropy", "gradient_norm"):
            assert right[key] == pytest.approx(left[key], **(ROUGH if rough else LOSS)), key
    for key in ("student_distance", "teacher_distance", "changed_weights"):
        assert (one[-1][key] is None) == (two[-1][key] is None)
        if one[-1][key] is not None:
            assert two[-1][key] == pytest.approx(one[-1][key], rel=0.1 if rough else 1e-3)
    if not rough:
        ours, theirs = (load_file(runs / count / name / "weights/model.safetensors") for count in ("one", "two"))
        assert ours.keys() == theirs.keys()
        for key in ours:
            torch.testing.assert_close(ours[key], theirs[key], **WEIGHTS)


@pytest.mark.slow
def test_what_two_processes_write_is_a_model_like_any_other(runs):
    for name in RUNS:
        one, two = runs / "one" / name, runs / "two" / name
        # Samples for the report are kept by runs of one process.
        files = {path.relative_to(one) for path in one.rglob("*") if path.is_file()} - {Path(ROLLOUTS)}
        assert files == {path.relative_to(two) for path in two.rglob("*") if path.is_file()}
        assert (one / "weights/config.json").read_text() == (two / "weights/config.json").read_text()
        record = read_json(two / "model.json")
        assert record["fingerprint"] == read_json(one / "model.json")["fingerprint"]
        cost = record["manifest"]
        assert cost["device_hours"] == pytest.approx(2 * cost["seconds"] / 3600, rel=0.01, abs=1e-6)


@pytest.mark.slow
def test_two_processes_interrupted_in_both_ways_continue_to_identical_weights(runs, tmp_path):
    command = ["-m", "sdft.train", "--processes", "2", "--run", runs / "long.json", "--quiet", "--out"]
    whole, out = runs / "two/long", tmp_path / "cut"
    live = out / "metrics.jsonl"
    for how, steps in ((signal.SIGTERM, 7), (signal.SIGKILL, 14)):
        cut, end = start(*command, out), time.monotonic() + 120
        while not (live.is_file() and len(live.read_text().splitlines()) >= steps):
            assert cut.poll() is None, finish(cut)[1][-3000:]
            assert time.monotonic() < end
            time.sleep(0.01)
        if how == signal.SIGKILL:
            # What the kernel does to one of them: torchrun ends the other.
            children = Path(f"/proc/{cut.pid}/task/{cut.pid}/children").read_text().split()
            os.kill(int(children[-1]), how)
        else:
            cut.send_signal(how)
        status, said = finish(cut)
        assert status != 0
        assert ("continuing sdft-test after step" in said) == (how == signal.SIGKILL)
        assert not (out / "model.json").exists()
        place = max((out / "state").glob("step-*"), key=lambda path: int(path.name[5:]))
        assert sorted(read_json(place / "record.json")["sha256"]) == ["state-0.pt", "state-1.pt"]
    # A torn shard is a torn checkpoint, for all processes.
    if len(list((out / "state").glob("step-*"))) > 1:
        (place / "state-1.pt").write_bytes(b"torn")
    status, said = finish(start(*command, out))
    assert status == 0, said[-3000:]
    assert "continuing sdft-test after step" in said
    weights = [folder / "weights/model.safetensors" for folder in (whole, out)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert [json.loads(row)["step"] for row in live.read_text().splitlines()] == list(range(1, 31))


def test_the_command_becomes_torchrun_once_and_only_for_several_processes(monkeypatch):
    called = []
    monkeypatch.setattr(os, "execv", lambda program, command: called.append(command))
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    launch("sdft.train", 1, ["--run", "x"], 60)
    assert not called
    launch("sdft.train", 4, ["--run", "x", "--processes", "4"], 300)
    assert called[0][1:3] == ["-m", "torch.distributed.run"]
    assert "--nproc-per-node=4" in called[0]
    # As long as SLURM gives them before the time limit.
    assert "--shutdown-timeout=300" in called[0]
    assert called[0][-6:] == ["--", "sdft.train", "--run", "x", "--processes", "4"]
    monkeypatch.setenv("WORLD_SIZE", "4")
    launch("sdft.train", 4, ["--run", "x", "--processes", "4"], 300)
    assert len(called) == 1


@pytest.mark.parametrize("rows", [1, 2, 5, 8])
@pytest.mark.parametrize("most", [None, 1, 3])
@pytest.mark.parametrize("tokens", [None, 1, 40])
def test_the_parts_of_a_step_are_its_rows_once(rows, most, tokens):
    from sdft.learning.sharding import ShardedProcesses

    sizes = [(3 + 7 * row % 5, 2 + 5 * row % 11) for row in range(rows)]
    shares = []
    for size in (1, 2, 3):
        ranks = [SingleProcess()] if size == 1 else [object.__new__(ShardedProcesses) for _ in range(size)]
        for rank, processes in enumerate(ranks):
            processes.size, processes.rank = size, rank
        found = [list(parts(sizes, processes, most, tokens)) for processes in ranks]
        # Everybody takes part equally often, since gathering weights needs all.
        assert len({len(part) for part in found}) == 1
        counted = [row for part in found for cut, share in part if share for row in cut]
        assert (counted if tokens is None else sorted(counted)) == list(range(rows))
        shares.append(sum(share for part in found for _, share in part))
        assert all(most is None or len(cut) <= most for part in found for cut, _ in part)
        for cut in [cut for part in found for cut, share in part if share and tokens and len(cut) > 1]:
            prompt, completion = (max(sizes[row][place] for row in cut) for place in (0, 1))
            assert len(cut) * (prompt + completion) <= tokens
    assert shares == pytest.approx([1, 1, 1])


def test_rows_of_a_batch_get_the_tokens_they_get_within_it():
    from sdft.learning.engines import GenerateEngine

    model, prompts = make_model(), [[8, 9], [10, 11], [12, 13], [14, 15]]
    options = {"temperature": 1.0, "max_new_tokens": 6, "seed": 5}
    engine = GenerateEngine(0, [3])
    whole = engine.sample(model, prompts, **options)
    for own in (slice(0, 2), slice(1, 4)):
        found = engine.sample(model, prompts[own], first_row=own.start, **options)
        width = found.tokens.shape[1]
        assert torch.equal(found.tokens, whole.tokens[own, :width])
        assert not whole.mask[own, width:].any()
        torch.testing.assert_close(found.log_probs, whole.log_probs[own, :width])
