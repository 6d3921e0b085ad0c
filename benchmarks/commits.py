"""`python -m benchmarks.commits OTHER [--out F.json]`: the miniature's SDFT step beside that of another commit.

OTHER is a checkout of the other commit, such as `git worktree add ../other 8691c7f` makes. Both train the same run from
the same base model on the same rows, in turn, each in a process of its own on one thread, and write each step's
seconds (wall-clock) into their metrics. The first step is left out, since it loads what libraries load late. Other work
on the machine only adds to a step's time, so of each step the shortest of its repetitions counts, and the ratio is that
of the two sums over steps. `pairs` has the ratios of single repetitions.

`floor` is the time of the matrix products of this commit's steps alone, as torch's profiler finds it, by the other
commit's time: what a loop with the same products cannot go below. Of each step the shortest counts here too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.loss import machine
from sdft.common.errors import SdftError, run_main
from sdft.common.files import write_json
from sdft.common.provenance import Clock, manifest
from sdft.miniature.data import SIZES, Size, write_part
from sdft.models.record import record

ROOT = Path(__file__).resolve().parents[1]
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")


def prepare(folder: Path, options: argparse.Namespace) -> Path:
    """The rows, the base model's record and the run, which both commits read; returns the run's path."""
    size = Size(**{**vars(SIZES[options.task]), "train": options.batch * options.steps})
    write_part(options.task, folder, 0, size, 8, 8)
    base = (ROOT / options.base).resolve()
    write_json(folder / "ready.json", record(base.name, base, None))
    run = {
        "id": "step",
        "scale": "mini",
        "study": "sweep",
        "task": options.task,
        "arm": "sdft",
        "method": "sdft",
        "seed": 0,
        "base": base.name,
        "base_ready": str(folder / "ready.json"),
        "demonstration": "shared",
        "hyperparameters": {"learning_rate": 1e-3, "batch_size": options.batch, "epochs": 1, "ema_rate": 0.02},
        "settings": {"max_new_tokens": 40, "compute_dtype": "float32"},
        "data": {"train": str(folder / options.task / "train.jsonl"), "prompts": None, "corpus": None},
    }
    write_json(folder / "run.json", run)
    return folder / "run.json"


def steps(checkout: Path, run: Path, out: Path) -> list[float]:
    """Seconds of every step but the first of the run, trained by a checkout's code. Raises SdftError if that fails."""
    command = [sys.executable, "-m", "sdft.train", "--run", str(run), "--out", str(out), "--quiet", "--threads", "1"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    if done.returncode:
        last = " ".join(done.stderr.split()[-60:])
        raise SdftError(f"{checkout} cannot train the run: {last}. Give a checkout of a commit of this repository.")
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["seconds"] for line in lines][1:]


def products(run: Path, out: Path) -> list[float]:
    """Seconds of the matrix products in each of the steps that `steps` measures, on one thread."""
    from torch.profiler import ProfilerActivity, profile

    from sdft.learning.checkpoint import Checkpoints
    from sdft.learning.loop import Training
    from sdft.learning.spec import Inputs, read_spec

    spec = read_spec(run)
    training = Training(spec, Inputs(spec), out, Checkpoints(out / "state", "step"), quiet=True)
    training.step(0)
    seconds = []
    for number in range(1, len(training.order)):
        with profile(activities=[ProfilerActivity.CPU]) as found:
            training.step(number)
        seconds.append(sum(each.self_cpu_time_total for each in found.key_averages() if each.key in PRODUCTS) / 1e6)
    return seconds


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of both commits' steps, their ratio, and the floor."""
    other = Path(options.other).resolve()
    if not (other / "sdft" / "train.py").is_file():
        raise SdftError(f"{options.other} is no checkout of this repository; make one: git worktree add FOLDER COMMIT.")
    commit = subprocess.run(["git", "-C", str(other), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    own, others, alone = [], [], []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run = prepare(folder, options)
        for number in range(options.pairs):
            others.append(steps(other, run, folder / f"other{number}"))
            own.append(steps(ROOT, run, folder / f"own{number}"))
            print(f"pair {number + 1} of {options.pairs}: {sum(own[-1]) / sum(others[-1]):.3f}", file=sys.stderr)
            alone.append(products(run, folder / f"profiled{number}"))
    seconds, other_seconds, floor = (sum(map(min, zip(*found, strict=True))) for found in (own, others, alone))
    return {
        "other_commit": commit.stdout.strip() or None,
        "steps": options.steps - 1,
        "pairs": [round(sum(mine) / sum(theirs), 4) for mine, theirs in zip(own, others, strict=True)],
        "own_seconds": round(seconds, 4),
        "other_seconds": round(other_seconds, 4),
        "ratio": round(seconds / other_seconds, 4),
        "product_seconds": round(floor, 4),
        "floor": round(floor / other_seconds, 4),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commits", description=__doc__.split("\n\n")[1])
    add = parser.add_argument
    add("other", metavar="OTHER", help="folder with a checkout of the other commit")
    add("--out", metavar="F.json", help="record to write")
    add("--base", default="released/mini/m-s1", help="base model of this checkout (default: %(default)s)")
    add("--task", default="tooluse", choices=("science", "tooluse", "medical"), help="default: %(default)s")
    add("--batch", type=int, default=16, help="rows of a step (default: %(default)s, as in the study)")
    add("--steps", type=int, default=16, help="steps of a run (default: %(default)s)")
    add("--pairs", type=int, default=9, help="repetitions of both (default: %(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    clock = Clock()
    settings = {name: value for name, value in vars(options).items() if name not in ("other", "out")}
    content = {"settings": settings, "machine": machine("cpu"), **measure(options)}
    print(f"a step takes {content['ratio']:.3f} of the other commit's time; its products alone {content['floor']:.3f}")
    if options.out:
        write_json(options.out, content | {"manifest": manifest("step", clock=clock, config=settings)})


if __name__ == "__main__":
    run_main(main)
