"""One run from its specification to finished weights: trained, continued, or found finished."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError
from sdft.common.files import check_sha256, read_json, write_json, write_text
from sdft.common.imports import quick_imports
from sdft.common.locks import only_writer
from sdft.common.progress import say
from sdft.learning.checkpoint import FINISHED, METRICS, Checkpoints, disk_errors
from sdft.learning.launch import find_processes
from sdft.learning.spec import Inputs, fingerprint, parse_spec, resolve
from sdft.study.plan import RunSpec


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
        record = processes.first(lambda: finished(out, mark, spec.settings.snapshots))
        if record is not None:
            return record
        with quick_imports():
            from sdft.learning.loop import Training

            training = Training(spec, inputs, out, Checkpoints(out / "state", mark, processes), quiet=quiet)
        return training.run()
