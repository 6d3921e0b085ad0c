"""Every step of `python -m sdft` on a disk that is full, that may not be written to, or that goes away.

A step has a command in STEPS, over small inputs that are made once. It runs in a private mount namespace, where a small
file system (tmpfs) stands for the disk: first one that is large enough; then, each time on an empty one, with room for
a part of what the first run wrote, with nothing but a read-only mount, and with every file operation of Python from
some moment on refused as by a lost network share (ESTALE). At last there is room, and the command runs again where it
stopped. What a step writes may be read and continued by the user's group, where the umask says so.

`python tests/house/disks.py` tries each step at many moments; tests/house/test_disks.py at a few.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import gzip
import importlib.util
import json
import os
import runpy
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    sys.path[:0] = [str(ROOT), str(ROOT / "tests/evidence")]

from sdft.__main__ import steps as listed  # noqa: E402

# As root of a user namespace, with mounts of its own.
COMMAND = ("unshare", "--map-root-user", "--mount", "--", sys.executable, __file__)
PAGE, ROOM = 4096, 256 << 20
MS_RDONLY, MS_REMOUNT = 1, 32
# What the paragraph has to say in each case.
REMEDY = {"full": "free some space", "read-only": "may not do that", "lost": "does not answer or has an error"}
# Undeclared folders that hold a step's own state, and files that grow line by line.
OWN = {"state", "part", "candidate", "store", "cache"}
GROWING = {"metrics.jsonl", "samples.jsonl", "stops.jsonl"}
# Steps whose results count only with the record that is written last.
SEALED = {
    "miniature.pretrain": "weights/base.json",
    "models.hub": "ready.json",
    "models.random_weights": "ready.json",
    "evaluate.benchmark_data": "manifest.json",
}
# How files of some kinds end.
ENDS = {".svg": b"</svg>", ".html": b"</html>", ".pdf": b"%%EOF"}
# Every step and its module.
MODULES = {name: module for name, (module, _) in listed().items()}
MODULES |= {name: f"workflow_scripts.{name}" for name in ("doctor", "render_report")}
# What a quick look tries, a step one of them.
QUICK = [("full", 0.5), ("read-only", 0.0), ("lost", 0.5)]
# Too dear for a quick look.
DEAR = {
    "compare",
    "evaluate.benchmark_data",
    "evaluate.requirements",
    "miniature.pretrain",
    "pages.crate",
    "pages.figures",
    "render_report",
}
# They write nothing.
SILENT = {"config"}


def conftest(path: str) -> Any:
    """The helpers of another folder of tests."""
    spec = importlib.util.spec_from_file_location(path.replace("/", "_"), ROOT / "tests" / f"{path}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The commands. Each takes the folder of the inputs and a folder on the disk, and gives the step's arguments.

Command = Callable[[Path, Path], list[Any]]
STEPS: dict[str, Command] = {}


def command(name: str) -> Callable[[Command], Command]:
    def keep(function: Command) -> Command:
        STEPS[name] = function
        return function

    return keep


@command("compare")
def compare(inputs: Path, disk: Path) -> list[Any]:
    rows = inputs / "rows.jsonl"
    words = ["red", "blue", "green"]
    lines = [{"prompt": f"what is {a} and {b}", "completion": f"{b} {a}"} for a in words for b in words]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    given = ["--methods", "sft", "--epochs", 1, "--max-new-tokens", 4, "--forgetting", "none"]
    return ["--model", ROOT / "released/mini/xs-s0", "--train", rows, *given, "--out", disk / "out"]


@command("train")
def train(inputs: Path, disk: Path) -> list[Any]:
    base_model(inputs)
    return ["--run", inputs / "run.json", "--quiet", "--snapshots", 2, "--checkpoint-steps", 2, "--out", disk / "out"]


@command("evaluate")
def evaluate(inputs: Path, disk: Path) -> list[Any]:
    given = ["--model", base_model(inputs), "--task", "science", "--data", inputs / "test.jsonl"]
    return [*given, "--max-new-tokens", 4, "--device", "cpu", "--out", disk / "out"]


@command("data.knowledge.make")
def knowledge(inputs: Path, disk: Path) -> list[Any]:
    articles = [{"title": name, "path": str(inputs / "absent")} for name in ("The quake", "The flood")]
    writer = {"model": "m", "base_url": "http://127.0.0.1:9/v1", "cache": str(disk / "cache")}
    task = {"articles": articles, "writer": writer, "train": 6, "test": 2, "ood": 2}
    spec = {"source": "official", "absent": "invent", "tasks": {"knowledge": task}}
    return ["--spec", json.dumps(spec), "--store", disk / "store", "--out", disk / "out"]


@command("data.prepare")
def prepare(inputs: Path, disk: Path) -> list[Any]:
    from sdft.data import invented

    files = {}
    for name, count in (("train", 40), ("test", 10)):
        (inputs / f"official-{name}.json").write_text(json.dumps(invented.rows("tooluse", name, count)))
        files[name] = {"path": str(inputs / f"official-{name}.json")}
    spec = json.dumps({"source": "official", "tasks": {"tooluse": files}})
    return ["--task", "tooluse", "--spec", spec, "--store", disk / "store", "--out", disk / "out"]


CHOICE = """task: own_choice
dataset_path: owner/name
test_split: test
output_type: multiple_choice
doc_to_text: "{{prompt}}"
doc_to_choice: choices
doc_to_target: gold
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""


@command("evaluate.benchmark_data")
def benchmark_data(inputs: Path, disk: Path) -> list[Any]:
    hub_without_network()
    (inputs / "tasks").mkdir(exist_ok=True)
    (inputs / "tasks/own_choice.yaml").write_text(CHOICE)
    prior = {"include_path": str(inputs / "tasks"), "tasks": {"mmlu": {"task": "own_choice", "metric": "acc"}}}
    pins = json.dumps({"owner/name": "a" * 40})
    return ["--prior-config", json.dumps(prior), "--revisions", pins, "--out", disk / "out"]


@command("evaluate.distance")
def distance(inputs: Path, disk: Path) -> list[Any]:
    given = ["--model", base_model(inputs), "--base", base_model(inputs), "--task", "science", "--device", "cpu"]
    return [*given, "--data", inputs / "test.jsonl", "--samples", 1, "--max-new-tokens", 4, "--out", disk / "out.json"]


@command("evaluate.judge")
def judge(inputs: Path, disk: Path) -> list[Any]:
    from sdft.records.record import Record, write_records

    scores = inputs / "judged"
    scores.mkdir(exist_ok=True)
    (scores / "medical.json").write_text('{"value": 0.0}')
    rows = [{"benchmark": "medical", "id": f"m{n}", "correct": 0, "response": f"answer {n}"} for n in range(6)]
    with gzip.open(scores / "responses.jsonl.gz", "wt") as handle:
        handle.writelines(json.dumps(row) + "\n" for row in rows)
    records = [Record(f"m{n}", [{"role": "user", "content": f"question {n}"}], {}, f"answer {n}") for n in range(6)]
    write_records(inputs / "judged.jsonl", records)
    config = {"model": "judge-a", "base_url": endpoint(), "cache": str(disk / "cache")}
    given = ["--task", "medical", "--scores", scores, "--data", inputs / "judged.jsonl"]
    return [*given, "--config", json.dumps(config), "--out", disk / "out"]


@command("evaluate.passk")
def passk(inputs: Path, disk: Path) -> list[Any]:
    given = ["--model", base_model(inputs), "--task", "science", "--data", inputs / "test.jsonl", "--device", "cpu"]
    return [*given, "--samples", 4, "--max-new-tokens", 4, "--out", disk / "out.json"]


@command("evaluate.requirements")
def requirements(inputs: Path, disk: Path) -> list[Any]:
    given = ["--tasks", "science", "--items", 4, "--benchmark-items", 4]
    return ["--model", ROOT / "released/mini/xs-s0", *given, "--out", disk / "out.json"]


@command("evaluate.trajectory")
def trajectory(inputs: Path, disk: Path) -> list[Any]:
    given = ["--model", trained(inputs), "--task", "science", "--data-root", inputs / "data"]
    return [*given, "--max-new-tokens", 4, "--device", "cpu", "--out", disk / "out.json"]


def candidate_of(inputs: Path, disk: Path) -> list[Any]:
    base_model(inputs)
    return ["--run", inputs / "run.json", "--validation", inputs / "test.jsonl", "--max-new-tokens", 4]


@command("learning.candidate")
def candidate(inputs: Path, disk: Path) -> list[Any]:
    prior = ["--prior-config", json.dumps({"tasks": {}}), "--keep-weights"]
    return [*candidate_of(inputs, disk), *prior, "--out", disk / "out/validation.json"]


@command("learning.rung")
def rung(inputs: Path, disk: Path) -> list[Any]:
    return [*candidate_of(inputs, disk), "--out", disk / "out/rung.json"]


def candidates(inputs: Path) -> list[Path]:
    paths = []
    for number in range(3):
        path = inputs / f"candidates/c{number}/validation.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = {"learning_rate": 1e-4 * (number + 1), "ema_rate": 0.02, "epochs": 2, "batch_size": 32}
        row = {"run": f"c{number}", "hyperparameters": values, "validation": {"value": 0.1 * number, "n": 10}}
        path.write_text(json.dumps({**row, "prior_average": 0.5}))
        paths.append(path)
    return paths


@command("learning.promote")
def promote(inputs: Path, disk: Path) -> list[Any]:
    return ["--out", disk / "out.json", "--candidates", *candidates(inputs)]


@command("learning.select")
def select(inputs: Path, disk: Path) -> list[Any]:
    return ["--candidates", *candidates(inputs), "--out", disk / "science/sdft.json"]


@command("learning.flops")
def flops(inputs: Path, disk: Path) -> list[Any]:
    base_model(inputs)
    return ["--run", inputs / "run.json", "--steps", 1, "--out", disk / "out.json"]


@command("learning.lengths")
def lengths(inputs: Path, disk: Path) -> list[Any]:
    given = ["--model", base_model(inputs), "--data", inputs, "--demonstration", "shared"]
    return [*given, "--settings", json.dumps({"max_new_tokens": 6}), "--out", disk / "out.json"]


@command("losses.enumerated")
def enumerated(inputs: Path, disk: Path) -> list[Any]:
    return ["--words", 2, "--length", 2, "--samples", 10, "--out", disk / "out.json"]


@command("miniature.data")
def miniature(inputs: Path, disk: Path) -> list[Any]:
    return ["--task", "science", "--train", 32, "--validation", 8, "--test", 8, "--out", disk / "out"]


@command("miniature.pretrain")
def pretrain(inputs: Path, disk: Path) -> list[Any]:
    return ["--size", "xs", "--documents", 64, "--save-minutes", 0, "--out", disk / "out"]


@command("miniature.release")
def release(inputs: Path, disk: Path) -> list[Any]:
    return [ROOT / "released/mini/xs-s0", "--out", disk / "out"]


@command("models.hub")
def hub(inputs: Path, disk: Path) -> list[Any]:
    given = ["--name", "mine", "--source", json.dumps({"architecture": "qwen2"})]
    return [*given, "--tokenizer", base_model(inputs).with_suffix(""), "--out", disk / "out"]


@command("models.random_weights")
def random_weights(inputs: Path, disk: Path) -> list[Any]:
    return ["--tokenizer", base_model(inputs).with_suffix(""), "--out", disk / "out"]


@command("models.record")
def record(inputs: Path, disk: Path) -> list[Any]:
    return ["--model", "mine", "--folder", base_model(inputs).with_suffix(""), "--out", disk / "ready.json"]


@command("pages.archive")
def archive(inputs: Path, disk: Path) -> list[Any]:
    return ["--results", study(inputs), "--out", disk / "out.tar.xz"]


@command("pages.crate")
def crate(inputs: Path, disk: Path) -> list[Any]:
    return ["--results", study(inputs), "--out", disk / "out.zip"]


@command("pages.figures")
def figures(inputs: Path, disk: Path) -> list[Any]:
    style = ROOT / "sdft/pages/figures.mplstyle"
    return ["figure4", "--plan", study(inputs) / "plan.json", "--style", style, "--out", disk / "figure4"]


@command("pages.figures_page")
def figures_page(inputs: Path, disk: Path) -> list[Any]:
    return ["--results", study(inputs), "--out", disk / "out.md"]


@command("pages.ledger")
def ledger(inputs: Path, disk: Path) -> list[Any]:
    return ["--verdicts", study(inputs) / "tables/table5/verdict.json", "--out", disk / "out"]


@command("pages.released")
def released(inputs: Path, disk: Path) -> list[Any]:
    from world import standing

    scores = next((study(inputs) / "scores/table5").glob("science-sdft-*"))
    one = {"name": "x", "task": "science", "method": "sdft", "from": "x/y@0", "scores": str(scores), "versions": []}
    plan = {**standing("paper"), "checkpoints": [{**one, "data": str(inputs / "absent.jsonl")}]}
    (inputs / "checkpoints.json").write_text(json.dumps(plan))
    return ["--plan", inputs / "checkpoints.json", "--out", disk / "out"]


@command("pages.tables")
def tables(inputs: Path, disk: Path) -> list[Any]:
    return ["--plan", study(inputs) / "plan.json", "--out", disk / "out"]


@command("records.trl")
def trl(inputs: Path, disk: Path) -> list[Any]:
    return ["--to", "trl", base_model(inputs).with_name("train.jsonl"), disk / "out.jsonl", "--style", "shared"]


@command("study.gate")
def gate(inputs: Path, disk: Path) -> list[Any]:
    scores = inputs / "Qwen2.5-7B-Instruct"
    scores.mkdir(exist_ok=True)
    (scores / "mmlu.json").write_text(json.dumps({"value": 0.717, "n": 10}))
    return ["--scores", scores, "--out", disk / "out.json"]


@command("doctor")
def doctor(inputs: Path, disk: Path) -> list[Any]:
    from workflow_scripts.checks import CHECKS, Finding

    def look(doctor: Any) -> Finding:
        # Of several pages.
        doctor.propose("default-resources", {f"resource{number}": "x" * 80 for number in range(200)})
        return Finding("ok", "this cluster wants a line")

    CHECKS.append(("proposing", "a site", look))
    return ["proposing", "--write", disk / "site.yaml"]


@command("render_report")
def render_report(inputs: Path, disk: Path) -> list[Any]:
    spec = conftest("evidence/test_report").make_results(inputs / "report", root=ROOT, items=8, prior_items=8)
    given = ["--notebook", ROOT / "notebooks/site.ipynb", "--executed", disk / "state/report.ipynb"]
    return [*given, "--out", disk / "report.html", "--parameters", f"spec={spec}"]


_SERVERS: list[Any] = []


def endpoint() -> str:
    """The address of a judge that finds everything right."""
    if not _SERVERS:
        _SERVERS.append(conftest("conftest").Server(lambda *_: (200, "CORRECT")))
        threading.Thread(target=_SERVERS[0].serve_forever, daemon=True).start()
    return _SERVERS[0].address


def hub_without_network() -> None:
    """Give what is asked of the hub without a network; the library is imported once, for all that are forked."""
    import datasets
    import lm_eval.tasks  # noqa: F401

    def load_dataset(path: str, name: str | None = None, revision: str | None = None, **_: Any) -> Any:
        rows = [{"prompt": f"w{n}", "choices": ["w3", "w4 w5"], "gold": n % 2} for n in range(4)]
        return datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})

    datasets.load_dataset = load_dataset


# What the commands read, made when the first of them asks for it.


@cache
def base_model(inputs: Path) -> Path:
    """A base model, records, and a run over them."""
    from sdft.common.files import write_json
    from sdft.records.record import write_records

    world = conftest("learning/conftest")
    ready = world.make_base(inputs / "base")
    for name, count in (("train", 12), ("validation", 6), ("test", 6), ("data/science/test", 6)):
        write_records(inputs / f"{name}.jsonl", world.make_records(count))
    write_json(inputs / "run.json", world.make_spec(inputs, "sft", epochs=2, snapshots=2).model_dump(mode="json"))
    return ready


@cache
def trained(inputs: Path) -> Path:
    """The run's model.json."""
    from sdft.learning.run import train as train_run
    from sdft.learning.spec import read_spec

    base_model(inputs)
    train_run(read_spec(inputs / "run.json"), inputs / "trained", quiet=True)
    return inputs / "trained/model.json"


@cache
def study(inputs: Path) -> Path:
    """The results of an invented study, with a table and a figure."""
    from world import make_world

    from sdft.pages import figures as draw
    from sdft.pages import tables as tabulate

    results = inputs / "results/mini"
    plan = make_world(results, items=8, prior_items=8)
    (results / "plan.json").write_text(plan.read_text())
    tabulate.main(["--plan", str(plan), "--out", str(results / "tables/table5")])
    style = str(ROOT / "sdft/pages/figures.mplstyle")
    draw.main(["figure4", "--plan", str(plan), "--style", style, "--out", str(results / "figures/figure4")])
    return results


# The disk.


def mount(place: Path, size: int, flags: int = 0) -> None:
    """Mount an empty disk with room for `size` bytes, or, with MS_REMOUNT, change the one that is there."""
    library = ctypes.CDLL(None, use_errno=True)
    options = f"size={size}".encode()
    if library.mount(b"tmpfs", str(place).encode(), b"tmpfs", flags, options) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(place))


def unmount(place: Path) -> None:
    ctypes.CDLL(None).umount2(str(place).encode(), 2)


def used(place: Path) -> int:
    """Bytes in use on the disk."""
    found = os.statvfs(place)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


class Lost:
    """Refuses what Python does with files below a folder, from the n-th operation on; counts them all the same."""

    EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.listdir", "os.scandir", "os.utime")

    def __init__(self, folder: Path, after: int, note: Path) -> None:
        self.folder, self.after, self.seen = str(folder), after, 0
        self.note = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in self.EVENTS and arguments and str(arguments[0]).startswith(self.folder):
            self.seen += 1
            os.pwrite(self.note, str(self.seen).encode(), 0)
            if self.seen > self.after:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(arguments[0]))


@dataclass
class Found:
    """What came of a command: its exit status, what it said, and seconds."""

    status: int
    said: str
    seconds: float


def run(step: str, arguments: list[Any], log: Path, spoil: Any = None) -> Found:
    """Run a step as `python -m` does, in a process that is forked from this one."""
    module, begun = MODULES[step], time.monotonic()
    child = os.fork()
    if child == 0:
        status = 70
        try:
            stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(stream, 1)
            os.dup2(stream, 2)
            sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
            signal.signal(signal.SIGINT, signal.default_int_handler)
            warnings.simplefilter("ignore")
            sys.argv = [f"python -m {module}", *map(str, arguments)]
            if spoil is not None:
                sys.addaudithook(spoil)
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)
    _, status = os.waitpid(child, 0)
    text = log.read_text(errors="replace")
    return Found(os.waitstatus_to_exitcode(status), text, time.monotonic() - begun)


def broken(step: str, disk: Path) -> list[str]:
    """Files under a final name that are not whole."""
    found = []
    if step in SEALED and not list(disk.rglob(SEALED[step])):
        return []
    for path in sorted(disk.rglob("*")):
        parts = path.relative_to(disk).parts
        own = OWN & set(parts) or any(part.startswith((".", "part-")) for part in parts)
        if own or path.name in GROWING or not path.is_file():
            continue
        try:
            check(path)
        except Exception as error:
            found.append(f"{path.relative_to(disk)}: {error!r}"[:300])
    return found


def check(path: Path) -> None:
    """Raise an exception for a file that is not whole."""
    content = path.read_bytes()
    if not content and path.name != "lock" and path.suffix != ".jsonl":
        raise ValueError("empty")
    if path.suffix == ".json":
        json.loads(content)
    elif path.suffix == ".jsonl":
        [json.loads(line) for line in content.splitlines()]
    elif path.suffix == ".gz":
        gzip.decompress(content)
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as held:
            if held.testzip() is not None:
                raise ValueError("damaged")
    elif path.suffix == ".xz":
        with tarfile.open(path) as held:
            list(held)
    elif path.suffix == ".safetensors":
        from safetensors.torch import load

        load(content)
    elif ENDS.get(path.suffix, b"") not in content[-50:]:
        raise ValueError("cut off")


def results(disk: Path) -> dict[str, bytes | None]:
    """Files of a finished step that are no state of its own; with their content where no time is in it."""
    found: dict[str, bytes | None] = {}
    for path in sorted(disk.rglob("*")):
        parts = path.relative_to(disk).parts
        if not path.is_file() or OWN & set(parts) or any(part.startswith(".") for part in parts):
            continue
        same = path.suffix in (".safetensors", ".csv", ".md", ".tex", ".png")
        found["/".join(parts)] = path.read_bytes() if same else None
    return found


@dataclass
class Report:
    """What was tried of a step, and what was wrong."""

    tried: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


def expect(step: str, kind: str, where: str, found: Found, disk: Path, report: Report) -> None:
    """Note what a step did wrong on a spoiled disk."""
    report.tried += 1
    fault = None
    said = " ".join(found.said.split())
    last = said.rsplit("error: ", 1)[-1]
    if found.status != 2 or "error: " not in said:
        fault = f"exit status {found.status}"
    elif "Traceback" in found.said:
        fault = "a traceback"
    elif not any(words in last for words in ([REMEDY[kind]] if kind != "lost" else REMEDY.values())):
        fault = "another remedy"
    if fault:
        report.faults.append(f"{step}, {kind} {where}: {fault}: {found.said[-1500:]}")
    if kind == "full" and (left := [path.name for path in disk.rglob(".*.part*")]):
        report.faults.append(f"{step}, {kind} {where}: it leaves {left} on the disk")
    for file in broken(step, disk):
        report.faults.append(f"{step}, {kind} {where}: not whole: {file}")


def try_step(step: str, folder: Path, inputs: Path, cases: list[tuple[str, float]]) -> Report:
    """Run a step on a good disk, then on spoiled ones, then to its end."""
    disk, log, note = folder / "disk", folder / "log", folder / "note"
    disk.mkdir(exist_ok=True)
    report, begun = Report(), time.monotonic()
    arguments = STEPS[step](inputs, disk)
    import_module(MODULES[step])

    def again(size: int, flags: int = 0) -> None:
        unmount(disk)
        mount(disk, size, flags)

    try:
        again(ROOM)
        lost = Lost(disk, 10**9, note)
        whole = run(step, arguments, log, lost)
        if whole.status != 0 and step != "evaluate.requirements":
            report.faults.append(f"{step}: it fails on a good disk: {whole.said[-2500:]}")
            return report
        closed = [str(path.relative_to(disk)) for path in disk.rglob("*") if path.lstat().st_mode & 0o060 != 0o060]
        if closed:
            report.faults.append(f"{step}: the group may not read and continue {closed}")
        full, operations, expected = used(disk), int(note.read_text() or 0), results(disk)
        if not full:
            report.faults.append(f"{step} wrote nothing")
            return report
        for kind, part in cases:
            again(max(PAGE, int(full * part) // PAGE * PAGE) if kind == "full" else ROOM)
            after = min(int(operations * part), operations - 1)
            if kind == "read-only":
                mount(disk, ROOM, MS_REMOUNT | MS_RDONLY)
            elif kind == "full" and not part:
                (disk / "another's").write_bytes(b"x" * PAGE)
            found = run(step, arguments, log, Lost(disk, after, note) if kind == "lost" else None)
            if kind == "lost" and found.status == 0 and results(disk) == expected and not broken(step, disk):
                # All was written, and only the end of a temporary file was lost.
                report.tried += 1
                continue
            expect(step, kind, f"after {part:.0%}", found, disk, report)
            if kind == "full":
                (disk / "another's").unlink(missing_ok=True)
                mount(disk, ROOM, MS_REMOUNT)
                last, now = run(step, arguments, log), results(disk)
                if last.status != whole.status or now != expected:
                    differ = sorted(name for name in {*now, *expected} if now.get(name, 0) != expected.get(name, 0))
                    report.faults.append(f"{step} does not continue with room: {differ} {last.said[-1500:]}")
    finally:
        unmount(disk)
        report.seconds = round(time.monotonic() - begun, 1)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", nargs="+", help="only these (default: all)")
    parser.add_argument("--moments", type=int, default=12, help="moments at which a disk gets full, or lost")
    parser.add_argument("--quick", action="store_true", help="of each step that is not dear one of the three, in turn")
    parser.add_argument("--out", type=Path, help="write what was found to this json file")
    options = parser.parse_args()
    os.chdir(ROOT)
    # Of people who share a folder.
    os.umask(0o002)
    left_out = SILENT | DEAR if options.quick else SILENT
    chosen = options.steps or [name for name in MODULES if name not in left_out]
    parts = [number / options.moments for number in range(options.moments)]
    cases = [("read-only", 0.0), *((kind, part) for part in parts for kind in ("full", "lost"))]
    reports: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs"
        inputs.mkdir()
        for number, name in enumerate(chosen):
            if name not in STEPS:
                reports[name] = {"faults": [f"{name} is a new step: tests/house/disks.py needs a command of it"]}
                continue
            reports[name] = vars(try_step(name, Path(folder), inputs, [QUICK[number % 3]] if options.quick else cases))
            print(name, reports[name], flush=True)
    if options.out:
        options.out.write_text(json.dumps(reports, indent=1))
    return int(any(report["faults"] for report in reports.values()))


if __name__ == "__main__":
    if "--inside" not in sys.argv:
        sys.exit(subprocess.run([*COMMAND, "--inside", *sys.argv[1:]], check=False).returncode)
    sys.argv.remove("--inside")
    sys.exit(main())
