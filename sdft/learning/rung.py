"""`python -m sdft.learning.rung`: the first part of a candidate's training, and how good it is by then.

Successive halving (Jamieson and Talwalkar 2016) with two rungs, `sweep: halving`: every candidate of an arm trains for
1/PARTS of its steps, and the best 1/PARTS of them to the end (sdft/learning/promote.py). Whoever goes on ends with the
weights of the full sweep: a small model continues from the checkpoint that is left here, and a large one, of which
the checkpoints of a whole sweep would fill a disk, starts afresh.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

from sdft.common.command import parse_spec
from sdft.common.errors import DivergedError, SdftError, run_main
from sdft.common.files import digest, read_json, sha256_file, write_json
from sdft.common.locks import only_writer
from sdft.common.progress import say
from sdft.common.provenance import Clock, manifest
from sdft.common.stop import starts_again
from sdft.evaluate.questions import read_items
from sdft.learning.candidate import decoding, for_candidate
from sdft.learning.checkpoint import Checkpoints, disk_errors
from sdft.learning.fits import check_fits
from sdft.learning.launch import find_processes
from sdft.learning.run import give_back
from sdft.learning.spec import Inputs, fingerprint, read_spec, resolve
from sdft.models.devices import require_gpus
from sdft.records.record import Record
from sdft.study import rerun
from sdft.study.plan import PARTS, RunSpec
from sdft.study.specs import RungSpec

EXAMPLES = """example:
  python -m sdft.learning.rung --run run.json --validation results/mini/data/tooluse/validation.jsonl \\
    --out /tmp/candidate/rung.json
"""


def rung_steps(steps: int) -> int:
    """After how many of a candidate's steps it is compared."""
    return math.ceil(steps / PARTS)


@starts_again()
def main(arguments: list[str] | None = None) -> None:
    options = parse_spec(RungSpec, "sdft.learning.rung", __doc__, arguments, EXAMPLES)
    spec = read_spec(options.run)
    if spec.hyperparameters is None:
        raise SdftError(f"{options.run} is a final run; a candidate has hyperparameters. Use python -m sdft.train.")
    check_fits(spec, require_gpus(options.gpus, growing=spec.settings.rollout_engine != "vllm"))
    records = read_items(spec.task, options.validation, options.limit)
    out, clock, spec = Path(options.out), Clock(), resolve(spec)
    inputs = Inputs(spec)
    spec, small = for_candidate(spec, inputs)
    settings = options.model_dump(exclude={"run", "out", "wait", "gpus"})
    key = digest([fingerprint(spec, inputs), settings, rerun.responses_code(), sha256_file(options.validation)], 16)
    state = out.parent / "candidate"
    with only_writer(state, options.wait):
        kept = next((path for path in (out, state / out.name) if _written(path, key)), None)
        if kept is not None:
            write_json(out, read_json(kept))
            return
        try:
            with disk_errors(out.parent), only_writer(out.parent / "state", options.wait):
                steps, weights = train_part(spec, inputs, out.parent)
            found = {"validation": validate(spec, weights, records, options, clock), **steps}
            shutil.rmtree(weights)
            if not small:
                Checkpoints(out.parent / "state", "").clear()
        except DivergedError as error:
            say(str(error))
            found = {"validation": {"value": 0.0, "n": len(records)}, "diverged": str(error)}
        content = {
            "run": spec.id,
            "seed": spec.seed,
            "base": spec.base,
            "hyperparameters": spec.hyperparameters.model_dump(),
            **found,
            "key": key,
            "manifest": manifest("train", clock=clock, config=spec.model_dump(mode="json"), seeds=[spec.seed]),
        }
        for path in (state / out.name, out):
            write_json(path, content)


def _written(path: Path, key: str) -> bool:
    try:
        return path.is_file() and read_json(path).get("key") == key
    except (SdftError, AttributeError):
        # Damaged: made again.
        return False


def train_part(spec: RunSpec, inputs: Inputs, out: Path) -> tuple[dict[str, int], Path]:
    """Train the first part of a candidate's steps into `out`; how many of how many, and the folder of the weights.

    The checkpoint after them stays in `out`/state. Raises as `sdft.learning.loop.Training.run`.
    """
    from sdft.learning.loop import Training
    from sdft.learning.snapshots import save_model

    class Reached(Exception):
        """The part's last step is done."""

    class Part(Training):
        """A training that ends after its first part."""

        @property
        def part(self) -> int:
            return rung_steps(len(self.order))

        def _resume(self) -> int:
            done = super()._resume()
            if done <= self.part:
                return done
            say(f"{spec.id} is further than its first part, whose result is gone; starting afresh")
            self.checkpoints.clear()
            raise Reached

        def _steps(self, done: int, stop: Any) -> int | None:
            if done == self.part:
                self._end()
            return super()._steps(done, stop)

        def _between(self, done: int, stop: Any) -> int | None:
            status = super()._between(done, stop)
            if done == self.part:
                self._save(done)
                self._end()
            return status

        def _end(self) -> None:
            save_model(self.student, self.tokenizer, out / "state" / "rung", weights, self._whole_weights())
            raise Reached

    weights = out / "rung"
    mark = fingerprint(spec, inputs)
    shutil.rmtree(weights, ignore_errors=True)
    try:
        for _ in range(2):
            training = Part(spec, inputs, out, Checkpoints(out / "state", mark, find_processes(0)))
            try:
                training.run()
            except Reached:
                if weights.is_dir():
                    break
        return {"steps": training.part, "of": len(training.order)}, weights
    finally:
        give_back()


def validate(
    spec: RunSpec, weights: Path, records: list[Record], options: RungSpec, clock: Clock
) -> dict[str, float | int]:
    """{"value", "n"}: accuracy on the validation records of the model in `weights`."""
    import torch

    from sdft.evaluate.answers import evaluate_task
    from sdft.models.files import load_model, load_tokenizer

    clock.device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_model(weights, clock.device, options.dtype)
    found = evaluate_task(model, load_tokenizer(weights), spec.task, records, decoding(options))
    return {"value": found.value, "n": found.n}


if __name__ == "__main__":
    run_main(main)
