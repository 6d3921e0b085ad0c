"""`python -m sdft.train --run RUN.json --out DIR`: train one model, or continue where an interrupted run stopped."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sdft.common.errors import SdftError, run_main
from sdft.learning.fits import check_fits, size_of
from sdft.learning.launch import launch
from sdft.learning.run import train
from sdft.learning.spec import parse_spec, read_spec
from sdft.methods.settings import SPEED_SETTINGS
from sdft.models.devices import require_gpus
from sdft.study.requests import stop_seconds

__all__ = ["main", "train"]

DESCRIPTION = """Train one model as RUN.json says (the workflow writes one beside every model). Writes OUT/model.json
(last: it exists only when the run is finished), OUT/metrics.jsonl (one line a step), OUT/weights/ (Hugging Face format,
tokenizer included), OUT/snapshots/{step}/ (the same along the run, where it asks for them) and, while it runs,
OUT/state/ (checkpoints and a lock). Repeating an interrupted command continues from the last checkpoint and ends with
the same weights; repeating a finished one does nothing."""

EXAMPLES = """examples:
  python -m sdft.train --run run.json --out runs/mine
  python -m sdft.train --run run.json --out runs/mine --micro-batch-size 4 --gradient-checkpointing
"""


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
    parser.add_argument(
        "--gpus", type=int, default=0, metavar="N", help="refuse to work with fewer usable GPUs (default: 0, any)"
    )
    speed = parser.add_argument_group("speed and memory", "replace the run's own settings; the result stays the same")
    speed.add_argument("--micro-batch-size", type=int, metavar="N", help="sequences that the device takes at once")
    speed.add_argument(
        "--micro-batch-tokens",
        type=lambda text: int(text) if text.isdecimal() else text,
        metavar="N",
        help="tokens that the device takes at once, or auto: as many as its memory holds",
    )
    speed.add_argument("--gradient-checkpointing", action="store_true", default=None, help="recompute activations")
    speed.add_argument("--checkpoint-minutes", type=float, metavar="M", help="minutes between checkpoints")
    speed.add_argument("--checkpoint-steps", type=int, metavar="N", help="steps between checkpoints")
    speed.add_argument("--probe-rows", type=int, metavar="N", help="measure teacher and student on N rows on the way")
    speed.add_argument("--tracker", metavar="NAME", help="tensorboard, wandb, mlflow or trackio beside metrics.jsonl")
    speed.add_argument("--snapshots", type=int, metavar="N", help="keep the weights of N equal parts of the run")
    options = parser.parse_args(arguments)
    spec = read_spec(options.run)
    values = spec.model_dump(mode="json")
    values["settings"] |= {
        name: getattr(options, name) for name in SPEED_SETTINGS if getattr(options, name) is not None
    }
    spec = parse_spec(values, f"{options.run} with the command line's settings")
    cards = require_gpus(options.gpus, growing=spec.settings.rollout_engine != "vllm")
    check_fits(spec, cards)
    launch("sdft.train", options.processes, arguments, stop_seconds(spec, size_of(spec.base_ready)))
    if options.threads is not None:
        if options.threads < 1:
            raise SdftError(f"--threads is {options.threads}; it must be at least 1.")
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    record = train(spec, options.out, quiet=options.quiet, wait_minutes=options.wait)
    print(f"{Path(options.out) / 'model.json'}: {record['steps']} steps, {record['seconds']:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    run_main(main)
