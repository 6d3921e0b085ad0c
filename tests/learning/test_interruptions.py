"""One study of four runs, interrupted over and over in every way that a process can be, ends as if nothing had been."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import time

import pytest
import torch
from conftest import make_spec, read_metrics

from sdft.common.errors import SdftError
from sdft.train import train

TIMES = ("seconds", "tokens_per_second", "phases")
METHODS = ("sdft", "sft", "dft", "sft_reinvoke")
STEPS = 30
WAYS = ("kill", "terminate", "interrupt", "full disk", "torn", "corrupted", "record lost", "outputs deleted")


def study(world):
    return {
        name: make_spec(world, name, epochs=STEPS // (2 if "re" in name else 3), checkpoint_steps=3) for name in METHODS
    }


def work(spec, out, full_at):
    """What a job does, slower, so that a signal finds it at work. full_at: the save that finds the disk full."""
    from sdft.learning.loop import Training

    original, save, saves = Training.step, torch.save, []

    def step(self, number):
        time.sleep(0.02)
        return original(self, number)

    def full(state, handle):
        saves.append(1)
        if len(saves) == full_at:
            handle.write(b"half a file")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(state, handle)

    Training.step, torch.save = step, full
    torch.set_num_threads(1)
    try:
        train(spec, out, quiet=True)
    except SdftError as error:
        raise SystemExit(2 if "disk" in str(error) else 1) from None


def damage(out, way):
    """What a crash or a bad disk does to the newest checkpoint, and Snakemake to the outputs."""
    if way == "outputs deleted":
        for name in ("model.json", "metrics.jsonl"):
            (out / name).unlink(missing_ok=True)
    places = sorted((out / "state").glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))
    # A run may lose its newest checkpoint, not both: they are written minutes apart.
    if len(places) < 2:
        return
    state, record = places[-1] / "state.pt", places[-1] / "record.json"
    content = bytearray(state.read_bytes())
    if way == "torn":
        state.write_bytes(content[: len(content) // 2])
    elif way == "corrupted":
        content[len(content) // 2] ^= 1
        state.write_bytes(content)
    elif way == "record lost":
        record.unlink()


def interrupted(spec, out, way, luck):
    """Start or continue a run, interrupt it after a random number of new steps; returns whether it had got to work."""
    before = len(read_metrics(out)) if (out / "metrics.jsonl").exists() else 0
    child = multiprocessing.get_context("fork").Process(
        target=work, args=(spec, out, luck.randint(1, 2) if way == "full disk" else 0)
    )
    child.start()
    number = {"terminate": signal.SIGTERM, "interrupt": signal.SIGINT}.get(way, signal.SIGKILL)
    wanted, end = before + luck.randint(1, 5), time.monotonic() + 120
    path = out / "metrics.jsonl"
    while child.is_alive() and way != "full disk":
        if path.exists() and path.read_bytes().count(b"\n") >= wanted:
            os.kill(child.pid, number)
            break
        assert time.monotonic() < end
        time.sleep(0.003)
    child.join(120)
    expected = {signal.SIGTERM: 143, signal.SIGINT: 130}.get(number, -number)
    assert child.exitcode in (2 if way == "full disk" else expected, 0), (way, child.exitcode)
    assert child.exitcode == 0 or not (out / "model.json").exists()
    damage(out, way)
    return child.exitcode != 0


@pytest.mark.slow
@pytest.mark.parametrize(("count", "methods"), [(4, METHODS[:1]), (32, METHODS)], ids=["4", "32"])
def test_a_study_interrupted_in_every_way_ends_with_identical_weights(world, tmp_path, count, methods, capfd):
    luck = random.Random(count)
    specs = {name: spec for name, spec in study(world).items() if name in methods}
    for name, spec in specs.items():
        train(spec, tmp_path / "whole" / name, quiet=True)
    done, turn = 0, 0
    while done < count:
        # Each way meets each method in turn.
        name, way = methods[turn % len(methods)], WAYS[(turn + turn // len(WAYS)) * 3 % len(WAYS)]
        turn += 1
        out = tmp_path / "cut" / name
        if (out / "model.json").exists():
            # It ended before it was interrupted often enough; the same again from nothing.
            shutil.rmtree(out)
        done += interrupted(specs[name], out, way, luck)
    for name, spec in specs.items():
        cut, whole = tmp_path / "cut" / name, tmp_path / "whole" / name
        train(spec, cut, quiet=True)
        assert (cut / "weights/model.safetensors").read_bytes() == (whole / "weights/model.safetensors").read_bytes()
        entries = [
            [json.dumps({k: v for k, v in row.items() if k not in TIMES}) for row in read_metrics(folder)]
            for folder in (cut, whole)
        ]
        assert entries[0] == entries[1]
        assert [row["step"] for row in read_metrics(cut)] == list(range(1, len(entries[0]) + 1))
        assert not list((cut / "state").glob("step-*"))
        assert not list((cut / "state").glob("part-*"))
