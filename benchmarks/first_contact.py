"""`python benchmarks/first_contact.py --out FILE.json`: is this project right, and how fast, on the GPU at hand?

One command, at most eight minutes on one H100 or H200, random weights of Qwen2.5-7B's shape, no network, no download.
It needs torch, transformers, accelerate and numpy. One check, `loop`, needs pydantic and yaml too; to bring them along:

    pip install --target packages --only-binary=:all: --python-version 3.12 --platform manylinux2014_x86_64 \\
        pydantic pyyaml
    PYTHONPATH=packages python benchmarks/first_contact.py --out contact.json

The record has a verdict a line (name, expected, measured, verdict, seconds) and is written after each, so that a run
that is cut off leaves what it measured. The checks run in a process of their own. One that fails, crashes, or takes
three times its share of the time costs only itself; after a crash the others go on in a new process.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.contact import CHECKS, Check, absent, find

BAD = ("FAIL", "ERROR", "CRASHED", "TIMEOUT", "NOT RUN")
# A process starts, loads the libraries and makes its model within its first check.
START_SECONDS = 60


class Record:
    """The file with the verdicts, written anew and whole at each."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path, self.settings, self.verdicts = path, settings, []
        self.begun = time.monotonic()

    def add(self, name: str, expected: str, measured: Any, verdict: str, seconds: float) -> None:
        entry = {"name": name, "expected": expected, "measured": measured, "verdict": verdict}
        self.verdicts.append(entry | {"seconds": round(seconds, 2)})
        print(f"{verdict:8} {name}: {json.dumps(measured)}", flush=True)
        self.write()

    def write(self) -> None:
        lines = ",\n".join(json.dumps(entry) for entry in self.verdicts)
        head = json.dumps(self.settings | {"seconds": round(time.monotonic() - self.begun, 1)})
        part = self.path.with_name(f"{self.path.name}.part")
        part.write_text(f'{{"run": {head},\n"verdicts": [\n{lines}\n]}}\n', encoding="utf-8")
        os.replace(part, self.path)


def work(sender: Connection, names: list[str], tiny: bool, folder: str) -> None:
    """Run checks in this process, and send what they find; a broken device ends the process."""
    import torch

    from benchmarks.contact.bench import Bench

    if tiny:
        torch.set_num_threads(1)
    bench = Bench(tiny, Path(folder))
    for name in names:
        sender.send(("begin", name))
        begun = time.perf_counter()
        try:
            for found in find(name)(bench):
                verdict = {None: "RECORDED", True: "PASS", False: "FAIL"}[found.good]
                entry = (found.name, found.expected, found.measured, verdict, time.perf_counter() - begun)
                sender.send(("verdict", entry))
                begun = time.perf_counter()
        except Exception as error:
            lines = traceback.format_exc().strip().splitlines()
            measured = {"error": f"{type(error).__name__}: {error}"[:600], "where": lines[-8:]}
            sender.send(("verdict", (name, "to end", measured, "ERROR", time.perf_counter() - begun)))
            bench.free()
            bench.wait()
        sender.send(("end", name))


def supervise(checks: list[Check], record: Record, tiny: bool, minutes: float, target: Any = work) -> None:
    """Run the checks in processes, one after the other has died, until they are done or the time is over."""
    deadline = record.begun + 60 * minutes
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="contact-") as folder:
        while checks:
            receiver, sender = context.Pipe(duplex=False)
            place = tempfile.mkdtemp(dir=folder)
            process = context.Process(target=target, args=(sender, [check.name for check in checks], tiny, place))
            process.start()
            sender.close()
            checks = follow(checks, receiver, record, deadline)
            process.terminate()
            process.join(10)
            process.kill()
            if time.monotonic() >= deadline:
                for check in checks:
                    record.add(check.name, "to be run", None, "NOT RUN", 0)
                return


def follow(checks: list[Check], receiver: Connection, record: Record, deadline: float) -> list[Check]:
    """Write down what a process says, until it is silent for too long or gone; returns the checks that are left."""
    left, start = list(checks), START_SECONDS
    while left:
        begun, now = time.monotonic(), left[0]
        limit = min(begun + start + 3 * now.seconds, deadline)
        start = 0
        try:
            while True:
                if not receiver.poll(max(0, limit - time.monotonic())):
                    late = time.monotonic() - begun
                    record.add(now.name, f"to end within {limit - begun:.0f} s", None, "TIMEOUT", late)
                    return left[1:]
                kind, content = receiver.recv()
                if kind == "verdict":
                    record.add(*content)
                if kind == "end":
                    break
        except EOFError:
            record.add(now.name, "to end", None, "CRASHED", time.monotonic() - begun)
            return left[1:]
        left = left[1:]
    return []


def has_gpu() -> bool:
    """Whether torch can use a GPU; asked in another process, so that this one needs no torch."""
    if not any(Path("/dev").glob("nvidia*")) and shutil.which("nvidia-smi") is None:
        return False
    command = [sys.executable, "-c", "import torch; print(torch.cuda.is_available())"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() == "True"


def main(arguments: list[str] | None = None) -> int:
    names = [check.name for check in CHECKS]
    parser = argparse.ArgumentParser(
        prog="benchmarks/first_contact.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--out", required=True, metavar="FILE.json", help="the record")
    add("--only", nargs="+", choices=names, default=names, metavar="NAME", help=f"of {', '.join(names)}")
    add("--tiny", action="store_true", help="tiny sizes, on any machine: do the checks themselves work?")
    add("--minutes", type=float, default=8.0, help="until then checks start (default: %(default)g)")
    options = parser.parse_args(arguments)
    record = Record(Path(options.out), {"tiny": options.tiny, "minutes": options.minutes, "only": options.only})
    cuda = has_gpu()
    if not (cuda or options.tiny):
        parser.error("torch sees no GPU on this machine; --tiny runs anywhere")
    checks = []
    for check in CHECKS:
        if check.name not in options.only:
            continue
        if (packages := absent(check)) or (check.gpu and not cuda):
            record.add(check.name, f"needs {', '.join(packages) or 'a GPU'}", None, "SKIPPED", 0)
        else:
            checks.append(check)
    supervise(checks, record, options.tiny, options.minutes)
    record.write()
    bad = [entry["name"] for entry in record.verdicts if entry["verdict"] in BAD]
    print(f"{options.out}: {len(record.verdicts)} verdicts, {len(bad)} bad{': ' if bad else ''}{', '.join(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
