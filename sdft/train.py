"""`python -m sdft.train --run RUN.json --out DIR`: train one model, or continue where an interrupted run stopped."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError, run_main
from sdft.common.files import check_sha256, read_json, write_json, write_text
from sdft.common.imports import quick_imports
from sdft.common.locks import only_writer
from sdft.common.progress import say
from sdft.learning.checkpoint import FINISHED, METRICS, Checkpoints, disk_errors
from sdft.learning.processes import find_processes, launch
from sdft.learning.spec import Inputs, fingerprint, parse_spec, read_spec, resolve
from sdft.methods.settings import SPEED_SETTINGS
from sdft.study.plan import RunSpec

DESCRIPTION = """Train one model as RUN.json says (the workflow writes one beside every model). Writes OUT/model.json
(last: it exists only when the run is finished), OUT/metrics.jsonl (one line a step), OUT/weights/ (Hugging Face format,
tokenizer included), OUT/snapshots/{step}/ (the same along the run, where it asks for them) and, while it runs,
OUT/state/ (checkpoints and a lock). Repeating an interrupted command continues from the last checkpoint and ends with
the same weights; repeating a finished one does nothing."""

EXAMPLES = """examples:
  python -m sdft.train --run run.json --out runs/mine
  python -m sdft.train --run run.json --out runs/mine --micro-batch-size 4 --gradient-checkpointing
"""


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
    except (SdftError, KeyError) as error:
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
    out, crew = Path(out), find_processes(wait_minutes)
    with disk_errors(out), crew.held(lambda: only_writer(out / "state", wait_minutes)):
        inputs = Inputs(spec)
        mark = fingerprint(spec, inputs)
        record = crew.first(lambda: finished(out, mark, spec.settings.snapshots))
        if record is not None:
            return record
        with quick_imports():
            from sdft.learning.loop import Training

            training = Training(spec, inputs, out, Checkpoints(out / "state", mark, crew), quiet=quiet)
        return training.run()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.train",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", required=True, metavar="RUN.json", help="what to train")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the trained model")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all, or OMP_NUM_THREADS)")
    parser.add_argument(
        "--wait", type=float, default=0, metavar="MINUTES", help="for another process that trains the same run"
    )
    parser.add_argument(
        "--processes", type=int, default=1, metavar="N", help="one a GPU, on this machine; torchrun starts them"
    )
    speed = parser.add_argument_group("speed and memory", "replace the run's own settings; the result stays the same")
    speed.add_argument("--micro-batch-size", type=int, metavar="N", help="sequences that the device takes at once")
    speed.add_argument("--gradient-checkpointing", action="store_true", default=None, help="recompute activations")
    speed.add_argument("--checkpoint-minutes", type=float, metavar="M", help="minutes between checkpoints")
    speed.add_argument("--checkpoint-steps", type=int, metavar="N", help="steps between checkpoints")
    speed.add_argument("--snapshots", type=int, metavar="N", help="keep the weights of N equal parts of the run")
    options = parser.parse_args(arguments)
    launch("sdft.train", options.processes, arguments)
    values = read_spec(options.run).model_dump(mode="json")
    values["settings"] |= {
        name: getattr(options, name) for name in SPEED_SETTINGS if getattr(options, name) is not None
    }
    spec = parse_spec(values, f"{options.run} with the command line's settings")
    if options.threads is not None:
        if options.threads < 1:
            raise SdftError(f"--threads is {options.threads}; it must be at least 1.")
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    record = train(spec, options.out, quiet=options.quiet, wait_minutes=options.wait)
    print(f"{Path(options.out) / 'model.json'}: {record['steps']} steps, {record['seconds']:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    run_main(main)
