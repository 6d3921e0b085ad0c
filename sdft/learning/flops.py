"""`python -m sdft.learning.flops --run RUN.json --out F.json`: floating-point operations of a training step, counted.

The counter (torch.utils.flop_counter) sees matrix products, convolutions and attention, a multiplication and an
addition each as one operation: 2 m n k for a product of [m, k] and [k, n]. It leaves out elementwise operations
(activations, norms, softmax, the optimizer, the EMA update), sampling from the distributions, indexing, and kernels
that are not operators of torch (those of vLLM, so rollouts are counted with transformers' generate).

Parts: rollout, sampling the completions; teacher, its forward pass up to the output layer; student, its forward pass
and the loss; backward, the rest of the gradient. The loss makes its gradient together with its value (`sdft.fused`), so
that the output layers of both models count under student: one product for each model's logits, two for the gradient.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError, run_main
from sdft.common.files import write_json
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.learning.checkpoint import Checkpoints
from sdft.learning.spec import Inputs, read_spec, resolve
from sdft.models.devices import require_gpus
from sdft.study.plan import RunSpec

DESCRIPTION = """Count the floating-point operations of the first steps of a run, by what they are spent on. Nothing of
the run itself is touched."""

PARTS = ("rollout", "teacher", "student", "backward")


class Meter:
    """Counts operations while it is open, and books them on the innermost part that is open; "student" is the rest."""

    def __init__(self) -> None:
        from torch.utils.flop_counter import FlopCounterMode

        self.counter = FlopCounterMode(display=False)
        self.parts: Counter[str] = Counter()
        self.open: list[str] = ["student"]
        self.seen = 0

    def __enter__(self) -> Meter:
        self.counter.__enter__()
        self.seen = 0
        return self

    def __exit__(self, *error: Any) -> None:
        self._book()
        self.counter.__exit__(*error)

    def _book(self) -> None:
        total = self.counter.get_total_flops()
        self.parts[self.open[-1]] += total - self.seen
        self.seen = total

    def begin(self, name: str) -> None:
        self._book()
        self.open.append(name)

    def end(self) -> None:
        self._book()
        self.open.pop()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self.begin(name)
        try:
            yield
        finally:
            self.end()


class Watched:
    """An engine whose sampling is booked as rollout."""

    def __init__(self, engine: Any, meter: Meter) -> None:
        self.engine, self.meter = engine, meter

    def sample(self, model: Any, prompts: list[list[int]], **options: Any) -> Any:
        with self.meter.part("rollout"):
            return self.engine.sample(model, prompts, **options)


def watch(training: Any, meter: Meter) -> None:
    """Let the parts of a `sdft.learning.loop.Training` report to the meter."""
    import torch

    training.engine = Watched(training.engine, meter)
    backward = training.accelerator.backward

    def counted(*arguments: Any, **options: Any) -> None:
        with meter.part("backward"):
            backward(*arguments, **options)

    training.accelerator.backward = counted
    if training.teacher is None:
        return

    body = training.teacher.base_model
    forward = body.forward

    # A teacher may also sample, and may be the student itself: only its passes without gradient in a loss are its own.
    # No hook tells of them, since a model with hooks decodes in another way.
    def watched(*arguments: Any, **options: Any) -> Any:
        if meter.open[-1] != "student" or torch.is_grad_enabled():
            return forward(*arguments, **options)
        with meter.part("teacher"):
            return forward(*arguments, **options)

    body.forward = watched


def count(spec: RunSpec, steps: int) -> dict[str, Any]:
    """Operations of the mean over the first `steps` steps of a resolved run.

    flops_per_step: by part; total: their sum; samples: operations of drawing all completions before the first step, for
    methods that do that once, else 0; tokens: sequences and completion tokens of a step; steps_of_run: of the whole
    run. Raises SdftError as a training does, and when the run has fewer steps.
    """
    from sdft.learning.loop import Training

    settings = spec.settings.model_copy(update={"rollout_engine": "transformers", "snapshots": 0})
    plain = spec.model_copy(update={"settings": settings})
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder) / "state", "flops")
        training = Training(plain, Inputs(spec), Path(folder), checkpoints, quiet=True)
        if steps > len(training.order):
            raise SdftError(f"run {spec.id} has {len(training.order)} steps, fewer than --steps {steps}.")
        meter = Meter()
        watch(training, meter)
        with meter:
            training.draw_samples()
        samples = meter.parts["rollout"]
        meter.parts.clear()
        with meter:
            entries = [training.step(step) for step in range(steps)]
    sequences = spec.hyperparameters.batch_size * training.method.samples
    return {
        "run": spec.id,
        "method": spec.method,
        "device": str(training.device),
        "steps": steps,
        "steps_of_run": len(training.order),
        "flops_per_step": {name: meter.parts[name] / steps for name in PARTS},
        "total": meter.parts.total() / steps,
        "samples": samples,
        "tokens": {
            "sequences": sequences,
            "completion": sequences * sum(entry["completion_tokens"] for entry in entries) / steps,
        },
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.learning.flops",
        description=DESCRIPTION,
        epilog="example: python -m sdft.learning.flops --run run.json --out /tmp/flops.json",
    )
    parser.add_argument("--run", required=True, metavar="RUN.json", help="a run, as sdft.train takes it")
    parser.add_argument("--steps", type=int, default=2, help="steps to count (default: %(default)s)")
    parser.add_argument("--out", required=True, metavar="F.json", help="the counts")
    parser.add_argument("--gpus", type=int, default=0, help="refuse to work with fewer usable GPUs (default: 0, any)")
    options = parser.parse_args(arguments)
    require_gpus(options.gpus)
    publish_alone(options.out)
    if options.steps < 1:
        raise SdftError(f"--steps is {options.steps}; it must be at least 1.")
    clock = Clock()
    spec = resolve(read_spec(options.run))
    content = count(spec, options.steps)
    clock.device = content["device"]
    record = manifest(
        "flops",
        clock=clock,
        config=spec.model_dump(mode="json"),
        seeds=[spec.seed],
        inputs=Inputs(spec).record(spec),
    )
    write_json(options.out, content | {"manifest": record})


if __name__ == "__main__":
    run_main(main)
