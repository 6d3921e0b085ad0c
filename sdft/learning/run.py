"""One run from its specification to finished weights: trained, continued, or found finished."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError
from sdft.common.files import check_sha256, read_json, write_json, write_text
from sdft.common.imports import quick_imports
from sdft.common.locks import only_writer
from sdft.common.progress import say
from sdft.common.schema import read_checked
from sdft.common.stop import TERMINATED, start_again
from sdft.learning.checkpoint import FINISHED, METRICS, Checkpoints, disk_errors
from sdft.learning.files import Selection
from sdft.learning.launch import find_processes
from sdft.learning.spec import Inputs, fingerprint, parse_spec, resolve
from sdft.study.plan import RunSpec
from sdft.study.requests import STOPS


def finished(out: Path, mark: str, snapshots: int = 0) -> dict[str, Any] | None:
    """The record of a finished run in `out` if it is this run and its weights are whole, else None.

    So many snapshots must be there too, unless none are asked for.

    Snakemake deletes declared outputs when it repeats a job, so the record and the metrics are kept in state/ too and
    put back from there.
    """
    path = next((path for path in (out / "model.json", out / "state" / FINISHED) if path.is_file()), None)
    if path is None:
        return None
    record = read_json(path)
    if not isinstance(record, dict) or record.get("fingerprint") != mark:
        say(f"{path} belongs to other settings, code or data; training again")
        return None
    try:
        check_sha256(out / "weights", record["weights"]["sha256"])
        if snapshots and record["run"]["settings"]["snapshots"] != snapshots:
            say(f"{path} has other snapshots than those asked for; training again")
            return None
        for entry in record["snapshots"] if snapshots else []:
            check_sha256(out / "snapshots" / str(entry["step"]), entry["sha256"])
    except (SdftError, KeyError, TypeError, AttributeError) as error:
        say(f"the finished weights of {out} are gone or damaged ({error}) Training again.")
        return None
    kept = out / "state" / METRICS
    if not (out / METRICS).is_file() and kept.is_file():
        write_text(out / METRICS, kept.read_text(encoding="utf-8"))
    if path.name == FINISHED:
        write_json(out / "model.json", record)
    return record


def adopted(spec: RunSpec, out: Path, mark: str) -> dict[str, Any] | None:
    """The record of a resolved final run that a candidate of its sweep is already, with its files put into `out`.

    A winner with the seed and base model of a final run has the same fingerprint `mark`, and its weights are kept until
    then where they are small (`sdft.learning.candidate`). None where there is no such candidate.
    """
    if spec.selected is None:
        return None
    looked_at = read_checked(spec.selected, Selection).get("manifest", {}).get("inputs", {})
    for folder in (Path(path).parent for path in looked_at):
        path = folder / "model.json"
        if not path.is_file() or read_json(path).get("fingerprint") != mark:
            continue
        record = finished(folder, mark, spec.settings.snapshots)
        if record is None:
            continue
        for name in ("weights", "snapshots"):
            shutil.rmtree(out / name, ignore_errors=True)
            if (folder / name).is_dir():
                shutil.copytree(folder / name, out / name, copy_function=_linked)
        record |= {"run": spec.model_dump(mode="json"), "candidate": str(folder)}
        record["weights"]["path"] = str(out / "weights")
        for entry in record["snapshots"]:
            entry["path"] = str(out / "snapshots" / str(entry["step"]))
        for place in (out / "state", out):
            write_text(place / METRICS, (folder / METRICS).read_text(encoding="utf-8"))
        write_json(out / "state" / FINISHED, record)
        write_json(out / "model.json", record)
        say(f"{spec.id} is what the sweep has trained as {folder.name}")
        return record
    return None


def show_adopted(spec: RunSpec, inputs: Inputs, out: Path) -> None:
    """Have the weights that a sweep has trained say what the page of a run shows, once."""
    with quick_imports():
        from sdft.learning.samples import ROLLOUTS, keep_adopted
    if not (out / ROLLOUTS).is_file():
        keep_adopted(out / ROLLOUTS, spec, inputs)


def _linked(source: str, target: str) -> None:
    """One file under two names, or a copy where the file system has no such links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def train(
    spec: RunSpec | dict[str, Any], out: str | Path, *, quiet: bool = False, wait_minutes: float = 0
) -> dict[str, Any]:
    """Train the run `spec` into the folder `out` and return the content of its model.json.

    A finished run returns at once, an interrupted one continues. quiet: show no progress. wait_minutes: how long to
    wait for another process that trains the same run. The global random state is left as it was. Raises SdftError for
    anything the user can mend (see the modules that this calls), SystemExit(143) after SIGTERM and SystemExit(130)
    after SIGINT, both with a checkpoint saved.
    """
    spec = resolve(spec if isinstance(spec, RunSpec) else parse_spec(spec, "the run"))
    out, processes = Path(out), find_processes(wait_minutes)
    with disk_errors(out), processes.held(lambda: only_writer(out / "state", wait_minutes)):
        inputs = Inputs(spec)
        mark = fingerprint(spec, inputs)
        record = processes.first(lambda: finished(out, mark, spec.settings.snapshots) or adopted(spec, out, mark))
        if record is not None:
            if "candidate" in record and processes.size == 1:
                show_adopted(spec, inputs, out)
            return record
        with quick_imports():
            from sdft.learning.loop import Training
        try:
            return Training(spec, inputs, out, Checkpoints(out / "state", mark, processes), quiet=quiet).run()
        except SystemExit as stop:
            if stop.code == TERMINATED and processes.main and not start_again():
                note_stop(out / "state")
            raise
        finally:
            give_back()


def note_stop(state: Path) -> None:
    """Write down a stop that ends this attempt, so that the next one asks for no more memory because of it."""
    with open(state / STOPS, "a", encoding="utf-8") as file:
        file.write("out of time\n")


def give_back() -> None:
    """Free what a training that has ended held: student, teacher, Adam's moments and average, in reference cycles."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
