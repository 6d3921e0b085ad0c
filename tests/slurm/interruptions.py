"""A study of tiny, real trainings through SLURM, whose jobs are interrupted in every way that a cluster has."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster import ROOT, wait_until
from study import Study

METHODS = ("sdft", "sft", "dft")
# Enough that an interrupted run is not over before its next interruption.
EPOCHS = 400
CHECKPOINT_STEPS = 20
TIMES = ("seconds", "tokens_per_second", "phases")


def world_of_learning() -> Any:
    """tests/learning/conftest.py, which makes models and runs of no size."""
    spec = importlib.util.spec_from_file_location("learning", ROOT / "tests/learning/conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_world(folder: Path) -> dict[str, Any]:
    """The runs by name, and their files in `folder`."""
    learning = world_of_learning()
    (folder / "runs").mkdir(parents=True)
    learning.make_base(folder / "base")
    learning.write_records(folder / "train.jsonl", learning.make_records())
    changes = {"epochs": EPOCHS, "checkpoint_steps": CHECKPOINT_STEPS}
    specs = {name: learning.make_spec(folder, name, **changes) for name in METHODS}
    for name, spec in specs.items():
        (folder / "runs" / f"{name}.json").write_text(spec.model_dump_json())
    return specs


def rows(folder: Path) -> list[dict[str, Any]]:
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def lines(folder: Path) -> int:
    try:
        return (folder / "metrics.jsonl").read_bytes().count(b"\n")
    except OSError:
        return 0


def trainers(folder: Path) -> list[int]:
    """Processes that train into a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            here = os.readlink(path / "cwd")
        except OSError:
            continue
        if (
            b"sdft.train" in words
            and here == str(folder.parents[2])
            and f"results/mini/{folder.name}".encode() in words
        ):
            found.append(int(path.name))
    return found


class Mishaps:
    """What happens to a running job: each method does it, and returns when it has begun."""

    def __init__(self, study: Study) -> None:
        self.study, self.cluster = study, study.cluster

    def cancelled(self, job: str, folder: Path) -> None:
        self.cluster.run("scancel", job)

    def requeued(self, job: str, folder: Path) -> None:
        self.cluster.run("scontrol", "requeue", job)

    def preempted(self, job: str, folder: Path) -> None:
        node = self.cluster.run("squeue", "--noheader", f"--jobs={job}", "--format=%N").strip()
        options = ["--partition=urgent", "--exclusive", f"--nodelist={node}", "--time=1", "--output=/dev/null"]
        self.cluster.run("sbatch", *options, "--wrap", "true")

    def out_of_time(self, job: str, folder: Path) -> None:
        self.cluster.run("scontrol", "update", f"JobId={job}", "EndTime=now+2")

    def killed(self, job: str, folder: Path) -> None:
        for pid in trainers(folder):
            os.kill(pid, signal.SIGKILL)

    def torn_checkpoint(self, job: str, folder: Path) -> None:
        self.killed(job, folder)
        places = sorted((folder / "state").glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))
        if len(places) > 1 and (places[-1] / "state.pt").is_file():
            state = places[-1] / "state.pt"
            state.write_bytes(state.read_bytes()[:-7])

    def node_lost(self, job: str, folder: Path) -> None:
        node = self.cluster.run("squeue", "--noheader", f"--jobs={job}", "--format=%N").strip()
        self.cluster.lose_node(node)
        states = ["sinfo", "--noheader", f"--nodes={node}", "--partition=main", "--format=%T"]
        wait_until(lambda: "down" in self.cluster.run(*states), 120, f"{node} down")
        self.cluster.start_daemon(node)

    def all(self) -> list[Callable[[str, Path], None]]:
        quick = [self.cancelled, self.requeued, self.killed, self.preempted, self.torn_checkpoint]
        # These two take SLURM half a minute each.
        return [*quick, self.out_of_time, *quick, self.node_lost]


def interrupt(study: Study, count: int, seconds: float = 7200) -> dict[str, Any]:
    """Run the study with so many interruptions; returns what happened, and whether the end is right."""
    from sdft.train import train

    luck, begun = random.Random(count), time.monotonic()
    before = Path.cwd()
    os.chdir(study.folder)
    try:
        specs = make_world(Path("world"))
        for name, spec in specs.items():
            train(spec, study.folder / "whole" / name, quiet=True)
    finally:
        os.chdir(before)
    folders = {name: study.folder / "results/mini" / name for name in specs}
    process = study.start("--retries", "100", "--jobs", "3", "--config", "scale=mini")
    ways, happened, end = Mishaps(study).all(), Counter(), time.monotonic() + seconds
    seen: dict[str, tuple[int, int]] = {}
    while sum(happened.values()) < count and process.poll() is None and time.monotonic() < end:
        name = luck.choice([name for name in specs if not (folders[name] / "model.json").exists()] or list(specs))
        folder = folders[name]
        running = [
            job
            for job, (state, _, what) in study.cluster.jobs().items()
            if state == "RUNNING" and what.endswith(f"_{name}")
        ]
        if not running or not trainers(folder):
            time.sleep(0.2)
            continue
        # Some new steps first, so that each interruption is at another one.
        target = seen.setdefault(name, (lines(folder), luck.randint(5, 3 * CHECKPOINT_STEPS)))
        if 0 <= lines(folder) - target[0] < target[1]:
            time.sleep(0.05)
            continue
        way = ways[sum(happened.values()) % len(ways)]
        way(running[-1], folder)
        happened[way.__name__] += 1
        wait_until(lambda folder=folder: not trainers(folder), 90, f"{name} has stopped")
        del seen[name]
    status = study.wait(process, max(60.0, end - time.monotonic()))
    same = {}
    for name, folder in folders.items():
        whole = study.folder / "whole" / name
        metrics = [[{k: v for k, v in row.items() if k not in TIMES} for row in rows(one)] for one in (whole, folder)]
        weights = [(one / "weights/model.safetensors").read_bytes() for one in (whole, folder)]
        same[name] = weights[0] == weights[1] and metrics[0] == metrics[1]
        same[name] &= [row["step"] for row in rows(folder)] == list(range(1, len(rows(whole)) + 1))
    return {
        "interruptions": sum(happened.values()),
        "ways": dict(happened),
        "identical": same,
        "exit_status": status,
        "wall_seconds": round(time.monotonic() - begun, 1),
        "passed": status == 0 and all(same.values()) and sum(happened.values()) >= count,
    }
