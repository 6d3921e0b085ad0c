"""Interruptions in random order, at the training command and at Snakemake, that must change no byte of the results.

`python tests/house/interruptions.py --trainings 450 --workflows 50` records so many in benchmarks/interruptions.json,
where a part of which 0 are asked stays as it was recorded;
tests/house/test_interrupted.py runs fewer. An interruption is a signal to a process that works: kill -9, Ctrl-C or
SIGTERM, to the job, to the process that started it (the job goes on as an orphan) or to all at once. Then the same
command starts again, half of the time beside the orphan.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

SIGNALS = {"kill -9": signal.SIGKILL, "Ctrl-C": signal.SIGINT, "SIGTERM": signal.SIGTERM}
METHODS = ("sft", "sdft", "dft")
# Nothing may take longer than this, in seconds, on a busy machine too, or it is stuck.
STUCK = 900
TIMES = ("seconds", "tokens_per_second", "phases")


def conftest(folder: str) -> Any:
    """The helpers of another folder of tests."""
    spec = importlib.util.spec_from_file_location(f"{folder}_conftest", ROOT / "tests" / folder / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def send(process: int, number: int, group: bool = False) -> None:
    with suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(process, number)


def wait_until(done: Callable[[], bool], what: str) -> None:
    """Wait. Raises TimeoutError for what is stuck."""
    end = time.monotonic() + STUCK
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} is stuck")
        time.sleep(0.01)


# One training command: a process in the place of the shell that starts it, and the training below it, which is forked
# from a process that has imported everything.


class Job:
    """A training that runs; `shell` leads its group, `training` works."""

    def __init__(self, spec: Any, out: Path) -> None:
        reader, writer = os.pipe()
        self.shell = os.fork()
        if self.shell == 0:
            try:
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, signal.SIG_DFL)
                os.setsid()
                training = os.fork()
                if training == 0:
                    _train(spec, out)
                os.write(writer, str(training).encode())
                os.waitpid(training, 0)
            finally:
                os._exit(0)
        os.close(writer)
        self.training = int(os.read(reader, 20) or 0)
        os.close(reader)

    def processes(self) -> list[int]:
        return [process for process in (self.shell, self.training) if alive(process)]


def wait_for_all(jobs: list[Job], what: str) -> None:
    wait_until(lambda: not any(job.processes() for job in jobs), what)


def wait_for_steps(out: Path, wanted: int, job: Job, what: str) -> None:
    wait_until(lambda: written(out) >= wanted or not job.processes(), what)


def _train(spec: Any, out: Path) -> None:
    """What a forked process does as `python -m sdft.train`, a little slower, so that signals find it at work."""
    from sdft.common import locks
    from sdft.learning.loop import Training
    from sdft.learning.run import train

    signal.signal(signal.SIGINT, signal.default_int_handler)
    original, sleep = Training.step, time.sleep

    def step(self: Any, number: int) -> Any:
        sleep(0.01)
        return original(self, number)

    Training.step = step
    locks.time = type("Time", (), {"sleep": lambda _: sleep(0.02), "monotonic": time.monotonic, **_clock()})
    status = 1
    try:
        train(spec, out, quiet=True, wait_minutes=10)
        status = 0
    except SystemExit as stop:
        status = stop.code
    finally:
        os._exit(status)


def _clock() -> dict[str, Any]:
    return {"strftime": time.strftime, "gmtime": time.gmtime}


def rows(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what hangs on the clock."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key not in TIMES} for line in lines]


def written(folder: Path) -> int:
    """How many steps a training has written down; the file begins anew with every start."""
    try:
        return (folder / "metrics.jsonl").read_bytes().count(b"\n")
    except OSError:
        return 0


def interrupt_trainings(count: int, folder: Path, luck: random.Random) -> dict[str, Any]:
    """Interrupt trainings until there were `count` interruptions and the last training has ended."""
    import torch

    from sdft.learning.run import train

    torch.set_num_threads(1)
    learning = conftest("learning")
    world = folder / "world"
    world.mkdir(parents=True)
    learning.make_base(world / "base")
    learning.write_records(world / "train.jsonl", learning.make_records())
    specs = {name: learning.make_spec(world, name, epochs=8, checkpoint_steps=2) for name in METHODS}
    for name, spec in specs.items():
        train(spec, folder / "whole" / name, quiet=True)
    happened, different, finished, jobs = Counter(), [], 0, []
    while sum(happened.values()) < count or jobs:
        name = METHODS[finished % len(METHODS)]
        out, whole = folder / "cut" / name, folder / "whole" / name
        if not jobs or luck.random() < 0.5:
            # As Snakemake does when it starts a job.
            for output in ("model.json", "metrics.jsonl"):
                (out / output).unlink(missing_ok=True)
            jobs.append(Job(specs[name], out))
        job = luck.choice(jobs)
        # At its start, or after some more steps of whoever trains.
        wanted = written(out) + luck.choice([0, 1, 2, 3, 5, 8])
        wait_for_steps(out, wanted, job, f"the training {name}")
        time.sleep(luck.uniform(0, 0.05))
        victims = job.processes()
        if sum(happened.values()) < count and job.training in victims:
            how = luck.choice(list(SIGNALS))
            whom = luck.choice(["job", "its parent", "group"])
            target = {"job": job.training, "its parent": job.shell, "group": job.shell}[whom]
            send(target, SIGNALS[how], whom == "group")
            happened[f"{how} to {whom}"] += 1
        if luck.random() < 0.3 or sum(happened.values()) >= count or len(jobs) > 3:
            # The rest goes on to its end, orphans too.
            wait_for_all(jobs, f"the training {name}")
        jobs = [each for each in jobs if each.processes()]
        while True:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    break
            except ChildProcessError:
                break
        if not jobs and sum(happened.values()) >= count and not (out / "model.json").exists():
            jobs.append(Job(specs[name], out))
            wait_for_all(jobs, f"the training {name}")
            jobs = []
        if not jobs and (out / "model.json").exists():
            finished += 1
            weights = [(one / "weights/model.safetensors").read_bytes() for one in (out, whole)]
            if weights[0] != weights[1] or rows(out) != rows(whole):
                different.append(f"{name} after {sum(happened.values())} interruptions")
            shutil.rmtree(out)
    return {"interruptions": dict(sorted(happened.items())), "trainings": finished, "different": different}


# The whole workflow, from Snakemake down.


def descendants(process: int) -> list[int]:
    """All processes below one."""
    found, waiting = [], [process]
    while waiting:
        for path in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            try:
                children = list(map(int, path.read_text().split()))
            except OSError:
                continue
            found += children
            waiting += children
    return found


def steps(house: Path) -> list[int]:
    """Processes that run a step of the study in this folder, orphans among them."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            if (
                os.readlink(path / "cwd") == str(house)
                and b"-m" in words
                and any(w.startswith(b"sdft.") for w in words)
            ):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def interrupt_workflow(count: int, house: Any, targets: list[str], luck: random.Random) -> dict[str, Any]:
    """Ask Snakemake for `targets` again and again, interrupting it `count` times; then once without."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--config", "scale=house", "--", *targets]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    happened, log = Counter(), open(house.folder / "interrupted.log", "ab")  # noqa: SIM115
    begin = lambda: subprocess.Popen(  # noqa: E731
        command, cwd=house.folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    process = None
    while sum(happened.values()) < count:
        if process is None or process.poll() is not None:
            process = begin()
        # From its start, through its first look at all files, or while a job works.
        wait, until = luck.random() < 0.5, time.monotonic() + luck.uniform(0.5, 12)
        while process.poll() is None and (wait or time.monotonic() < until):
            if wait and steps(house.folder):
                time.sleep(luck.choice([0, 0.1, 0.5, 1, 2, 4]))
                break
            time.sleep(0.05)
        if process.poll() is not None:
            if process.returncode == 0:
                break
            continue
        how, whom = luck.choice(list(SIGNALS)), luck.choice(["Snakemake", "job", "group"])
        working = steps(house.folder)
        target = luck.choice(working) if whom == "job" and working else process.pid
        whom = "Snakemake" if whom == "job" and not working else whom
        send(target, SIGNALS[how], whom == "group")
        happened[f"{how} to {whom}"] += 1
        # Snakemake goes on without a job, and is interrupted again.
        end = time.monotonic() + STUCK
        while whom != "job" and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        if whom != "job" and process.poll() is None:
            raise TimeoutError(f"Snakemake is stuck after {how} to {whom}")
    if process is not None:
        wait_until(lambda: process.poll() is not None, "Snakemake")
    process = begin()
    status = process.wait(timeout=2 * STUCK)
    wait_until(lambda: not steps(house.folder), "an orphan")
    return {"interruptions": dict(sorted(happened.items())), "exit_status": status}


PRODUCTS = ("tables/table5/table.csv", "tables/table5/table.md", "tables/table5/table.tex", "figures/figure4.svg")


def products(results: Path) -> dict[str, bytes]:
    """Tables, a figure and all weights of a study, by their paths."""
    paths = [*(results / name for name in PRODUCTS), *results.glob("runs/*/*/weights/model.safetensors")]
    return {str(path.relative_to(results)): path.read_bytes() for path in sorted(paths) if path.is_file()}


def trainings(count: int, seed: int, folder: Path) -> dict[str, Any]:
    """A part of the record: interruptions of the training command."""
    return interrupt_trainings(count, folder, random.Random(seed))


def workflows(count: int, seed: int, folder: Path) -> dict[str, Any]:
    """A part of the record: interruptions of the whole workflow, compared with one that nobody interrupted."""
    helpers, luck = conftest("house"), random.Random(seed)
    whole, cut = (helpers.build(folder / name, ROOT, make=False) for name in ("whole", "cut"))
    targets = [f"results/house/{name}" for name in PRODUCTS]
    interrupt_workflow(0, whole, targets, luck)
    happened, one, different, finished, status = Counter(), products(whole.results), set(), 0, 0
    while sum(happened.values()) < count:
        # One that ends before it was interrupted often enough is made anew.
        shutil.rmtree(cut.results, ignore_errors=True)
        found = interrupt_workflow(count - sum(happened.values()), cut, targets, luck)
        other = products(cut.results)
        happened += Counter(found["interruptions"])
        different |= {name for name in one if one[name] != other.get(name)}
        finished, status = finished + 1, max(status, abs(found["exit_status"]))
    return {
        "interruptions": dict(sorted(happened.items())),
        "workflows": finished,
        "exit_status": status,
        "compared": sorted(one),
        "different": sorted(different),
    }


PARTS = {"trainings": trainings, "workflows": workflows}


def share(part: str, count: int, seed: int) -> dict[str, Any]:
    """One process's share of a part, with what was stuck."""
    folder = Path(tempfile.mkdtemp())
    try:
        return PARTS[part](count, seed, folder) | {"stuck": []}
    except (TimeoutError, subprocess.TimeoutExpired) as error:
        return {"interruptions": {}, "different": [], "stuck": [str(error)]}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--trainings", type=int, default=450, metavar="N", help="interruptions of the training command")
    parser.add_argument("--workflows", type=int, default=50, metavar="N", help="interruptions of the workflow")
    parser.add_argument("--shares", type=int, default=2, metavar="N", help="processes for each of these at once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/interruptions.json")
    parser.add_argument("--share", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.share:
        part, count = options.share
        options.out.write_text(json.dumps(share(part, int(count), options.seed)), encoding="utf-8")
        return 0
    begun, running, recorded = time.monotonic(), [], {}
    if options.out.exists():
        recorded = json.loads(options.out.read_text(encoding="utf-8"))
    # What is not measured now stands as it was.
    report = {part: recorded.get(part, {}) for part in PARTS if not getattr(options, part)}
    with tempfile.TemporaryDirectory() as folder:
        for part in set(PARTS) - set(report):
            for number in range(options.shares):
                out = Path(folder) / f"{part}-{number}.json"
                count = getattr(options, part) * (number + 1) // options.shares
                count -= getattr(options, part) * number // options.shares
                words = ["--share", part, str(count), "--seed", str(options.seed + number), "--out", str(out)]
                process = subprocess.Popen([sys.executable, __file__, *words], stdout=subprocess.DEVNULL)
                running.append((part, out, process))
        for part, out, process in running:
            if process.wait() != 0:
                return 1
            add(report.setdefault(part, {}), json.loads(out.read_text(encoding="utf-8")))
    for part in {part for part, _, _ in running}:
        report[part] |= {
            "seed": options.seed,
            "minutes": round((time.monotonic() - begun) / 60, 1),
            "machine": f"{platform.platform()}, {os.cpu_count()} processors, Python {platform.python_version()}",
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
        }
    report = {part: report[part] for part in PARTS}
    report |= {
        "total": sum(sum(part.get("interruptions", {}).values()) for part in report.values()),
        "stuck": [what for part in report.values() for what in part.get("stuck", ())],
        "different": [what for part in report.values() for what in part.get("different", ())],
    }
    failed = report["stuck"] or report["different"] or any(report["workflows"].get("exit_status", [1]))
    options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))
    return 1 if failed else 0


def add(whole: dict[str, Any], part: dict[str, Any]) -> None:
    """Put one share's findings to the others'."""
    for key, value in part.items():
        if isinstance(value, dict):
            whole[key] = dict(sorted((Counter(whole.get(key, {})) + Counter(value)).items()))
        elif isinstance(value, list):
            whole[key] = sorted({*whole.get(key, []), *value})
        elif key == "exit_status":
            whole[key] = [*whole.get(key, []), value]
        else:
            whole[key] = whole.get(key, 0) + value


if __name__ == "__main__":
    sys.exit(main())
