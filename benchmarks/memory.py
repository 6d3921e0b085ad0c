"""`python -m benchmarks.memory [--trl PYTHON] [--out F.json]`: peak memory of a step of 32 x 320 tokens; forecasts.

A step of SDFT is taken, with an EMA teacher and forward KL over the whole vocabulary, by this project in several ways
and by TRL's SDFTTrainer, which makes the logits of all tokens. Each is a process of its own that begins with the second
step's memory (weights, teacher and Adam's moments exist); completions are random words of the full length, so nothing
is sampled. What counts is the peak beyond five copies of the weights: these four and the gradients.

On a CPU the step has all its tensors and none of its arithmetic (`benchmarks.without_arithmetic`), and bytes of tensors
are counted: TRL's step needs more memory than a laptop has. `checked` compares that count with the resident memory of
the same step with its arithmetic, at a few sequences. On a GPU everything is computed, and torch's allocator counts.

`forecast` sets what `sdft.models.memory` (budget.py) says of several shapes and types of numbers beside the bytes of a
step of two micro-batches.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from benchmarks.loss import MIB, machine, resident
from benchmarks.step import SHAPES, foreign_trainer, own_training, prepare, qwen2_config
from benchmarks.without_arithmetic import WithoutArithmetic
from sdft.common.errors import SdftError, run_main
from sdft.common.files import write_json
from sdft.common.provenance import Clock, manifest

# This project's ways: the whole batch at once; with recomputed activations; tokens of a micro-batch.
WAYS: dict[str, dict[str, Any]] = {
    "at once": {},
    "recomputed": {"checkpointing": True},
    "by tokens": {"micro_batch_tokens": 4096},
}
NARROW = {"weights_dtype": "bfloat16", "optimizer_dtype": "bfloat16"}
# Shape, sequences of a micro-batch, and settings of the steps whose forecast is looked at.
FORECASTS: list[tuple[str, int, dict[str, Any]]] = [
    ("100m", 8, {"compute_dtype": "float32"}),
    ("qwen2.5-0.5b", 8, {}),
    ("qwen2.5-7b", 1, {**NARROW, "gradient_checkpointing": True}),
    ("qwen2.5-7b", 16, {**NARROW, "gradient_checkpointing": True}),
    ("qwen2.5-7b", 8, {**NARROW, "ema_dtype": "bfloat16"}),
]


class Counted:
    """Bytes of the tensors that a step makes, without its arithmetic."""

    def __enter__(self) -> Counted:
        self.mode = WithoutArithmetic()
        self.mode.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.mode.__exit__(*error)

    def bytes(self) -> int:
        return self.mode.peak


class Computed:
    """Bytes of memory that a step takes: of torch's allocator on a GPU, of this process on a CPU."""

    def __init__(self, device: str) -> None:
        self.cpu = device == "cpu"

    def __enter__(self) -> Computed:
        gc.collect()
        if self.cpu:
            # What is free goes back to the system, so that using it again counts. The peak starts afresh.
            ctypes.CDLL("libc.so.6").malloc_trim(0)
            self.before = resident("VmRSS")
            Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        else:
            self.before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def bytes(self) -> int:
        return (resident("VmHWM") if self.cpu else torch.cuda.max_memory_allocated()) - self.before


def gauge(options: argparse.Namespace) -> Counted | Computed:
    return Computed(options.device) if options.device == "cuda" or options.arithmetic else Counted()


def make_moments(optimizer: torch.optim.Optimizer) -> None:
    """Adam's moments, as they are after a step."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()


def words(rows: int, new: int, vocabulary: int) -> torch.Tensor:
    """Random completions without a stop token."""
    return torch.randint(10, vocabulary, (rows, new), generator=torch.Generator().manual_seed(0))


class Given:
    """An engine that samples nothing: it returns random words."""

    def __init__(self, vocabulary: int, device: torch.device) -> None:
        self.vocabulary, self.device = vocabulary, device

    def sample(self, model: Any, prompts: list[list[int]], *, max_new_tokens: int, **_: Any) -> Any:
        from sdft.losses.encoding import Completions

        tokens = words(len(prompts), max_new_tokens, self.vocabulary).to(self.device)
        return Completions(tokens, torch.ones_like(tokens, dtype=torch.bool), torch.zeros(tokens.shape).to(self.device))


def take_own(folder: Path, shape: dict[str, Any], options: argparse.Namespace) -> int:
    """Bytes that a step of this project takes beside weights, teacher and moments."""
    from sdft import fused

    if not options.arithmetic:
        # As on a GPU.
        fused.BLOCK_BYTES["cpu"] = fused.BLOCK_BYTES["cuda"]
    training = own_training("sdft", folder, shape, options)
    training.engine = Given(shape["model"][-1], training.device)
    training.distances.measure = lambda *_: {"student_distance": None}
    make_moments(training.optimizer)
    with gauge(options) as taken:
        training.step(0)
        return taken.bytes()


def take_foreign(folder: Path, shape: dict[str, Any], options: argparse.Namespace) -> None:
    """As `take_own`, by TRL; answers in the place of returning."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.taken = gauge(options).__enter__()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.taken.__exit__(None, None, None)
            answer(self.taken.bytes())

    trainer = foreign_trainer(folder, shape, options)
    completions = words(shape["batch"], shape["new"], shape["model"][-1]).tolist()
    trainer._generate = lambda prompts: (prompts, completions[: len(prompts)])
    make = trainer.create_optimizer

    def with_moments(*given: Any, **named: Any) -> Any:
        optimizer = make(*given, **named)
        make_moments(trainer.optimizer)
        return optimizer

    trainer.create_optimizer = with_moments
    trainer.add_callback(Watch())
    trainer.train()


def answer(taken: int) -> None:
    """The measure as the last line of standard output; what follows is not waited for."""
    print(f"\n{json.dumps(taken)}", flush=True)
    os._exit(0)


def measured(who: str, rows: int, folder: Path, options: argparse.Namespace, **way: Any) -> int:
    """Bytes of a step of so many sequences in a process of its own."""
    interpreter = options.trl if who == "trl" else sys.executable
    command = [interpreter, "-m", "benchmarks.memory", "--contestant", who, "--folder", str(folder)]
    command += ["--shape", options.shape, "--rows", str(rows), "--new", str(options.new), "--device", options.device]
    command += ["--dtype", options.dtype, "--compute", options.compute]
    for name, value in way.items():
        command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = " ".join(done.stderr.split()[-60:])
        raise SdftError(f"{who} with {rows} sequences ended without a measure: {last}. Give fewer --rows or --new.")
    return json.loads(done.stdout.splitlines()[-1])


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Peaks beyond five copies of the weights, in MiB; with every yield more of them."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(folder, SHAPES[options.shape], options.device, options.dtype)
        weights = (folder / "model" / "model.safetensors").stat().st_size

        def beyond(*given: Any, **way: Any) -> float:
            """Four copies were there before."""
            return round((measured(*given, folder, options, **way) - weights) / MIB, 1)

        found: dict[str, Any] = {"weights_mib": round(weights / MIB, 1)}
        found["sdft"] = {name: {"beyond_mib": beyond("sdft", options.rows, **WAYS[name])} for name in options.ways}
        checked = {"sdft": {}}
        if options.trl:
            found["trl"] = {"beyond_mib": beyond("trl", options.rows)}
            for entry in found["sdft"].values():
                entry["by_trl"] = round(entry["beyond_mib"] / found["trl"]["beyond_mib"], 4)
            checked["trl"] = {}
        yield found
        if options.check_rows and options.device == "cpu":
            for who, values in checked.items():
                values |= {"counted_mib": beyond(who, options.check_rows)}
                values |= {"resident_mib": beyond(who, options.check_rows, arithmetic=True)}
            found["checked"] = {"rows": options.check_rows} | checked
            yield found


def two_micro_batches(shape: dict[str, Any], rows: int, settings: Any) -> tuple[int, Any]:
    """Bytes of tensors at the peak of a second step of two micro-batches of `rows` sequences, and the model's size.

    settings: TrainingSettings. Only a model of random weights exists, without its numbers.
    """
    from transformers import Qwen2ForCausalLM

    from sdft.divergence import distill
    from sdft.learning.lora import add_adapters
    from sdft.learning.optimization import make_optimizer
    from sdft.losses.encoding import Completions, completion_hidden
    from sdft.models.size import ModelSize
    from sdft.teacher import EMATeacher

    width, layers, inner, _, _, vocabulary = shape["model"]
    config = qwen2_config(shape)
    config._attn_implementation = "sdpa"
    dtype = getattr(torch, settings.weights_dtype)
    with torch.device("meta"):
        student = Qwen2ForCausalLM(config).to(dtype)
    size = ModelSize(sum(weight.numel() for weight in student.parameters()), layers, width, inner, vocabulary)
    # Of different lengths, as prompts are.
    prompts = [[5] * (shape["question"] - row % 8) for row in range(rows)]
    tokens = words(rows, shape["new"], vocabulary)
    completions = Completions(tokens, torch.ones_like(tokens, dtype=torch.bool))
    with WithoutArithmetic() as mode:
        student = student.to_empty(device="cpu").train()
        student.tie_weights()
        if settings.gradient_checkpointing:
            student.gradient_checkpointing_enable()
        if settings.lora_rank:
            add_adapters(student, settings.lora_rank, 0)
        moving = {name: value for name, value in student.named_parameters() if value.requires_grad}
        average = getattr(torch, settings.ema_dtype)
        ema = EMATeacher(student, 0.1, average, trained=moving) if settings.teacher == "ema" else None
        teacher = ema.model if ema else student
        optimizer = make_optimizer(moving.values(), settings, torch.float32 if settings.lora_rank else dtype)
        make_moments(optimizer)
        gc.collect()
        mode.restart()
        for _ in range(2):
            narrow = settings.compute_dtype == "bfloat16" and dtype == torch.float32
            with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
                with torch.no_grad():
                    target = completion_hidden(teacher, prompts, completions, 0)
                hidden = completion_hidden(student, prompts, completions, 0)
                embeddings = [model.get_output_embeddings().weight for model in (student, teacher)]
                loss = distill(hidden, embeddings[0], target, embeddings[1], completions.mask).loss
            loss.backward()
        # What is held to the end counts to the end.
        del optimizer
        return mode.peak, size


def forecasts() -> Iterator[dict[str, Any]]:
    """The forecast of each of FORECASTS beside the bytes that its step takes; with every yield one more."""
    from sdft import fused
    from sdft.methods.settings import TrainingSettings
    from sdft.models.memory import memory

    # As on a GPU, which the forecast is for.
    fused.BLOCK_BYTES["cpu"] = fused.BLOCK_BYTES["cuda"]
    found: list[dict[str, Any]] = []
    for name, rows, values in FORECASTS:
        settings, shape = TrainingSettings(**values), SHAPES[name]
        taken, size = two_micro_batches(shape, rows, settings)
        said = memory(size, settings, rows * (shape["question"] + shape["new"] - 1))["total"] * 2**30
        entry = {"shape": name, "sequences": rows, "settings": values}
        entry |= {"forecast_mib": round(said / MIB, 1), "taken_mib": round(taken / MIB, 1)}
        found.append(entry | {"ratio": round(said / taken, 4)})
        yield {"forecast": found}


def table(content: dict[str, Any]) -> str:
    lines = [f"{'MiB beyond five copies':<26}{'':>10}{'by TRL':>8}"]
    for name, found in content["sdft"].items():
        share = f"{found['by_trl']:.3f}" if "by_trl" in found else "-"
        lines.append(f"{name:<26}{found['beyond_mib']:>10.0f}{share:>8}")
    if "trl" in content:
        lines.append(f"{'TRL':<26}{content['trl']['beyond_mib']:>10.0f}")
    if "checked" in content:
        lines.append(f"checked: {json.dumps(content['checked'])}")
    lines.append(f"{'forecast by what is taken':<26}")
    for entry in content["forecast"]:
        lines.append(
            f"{entry['shape']:<16}{entry['sequences']:>4}{entry['ratio']:>8.3f}  {json.dumps(entry['settings'])}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.split("\n\n")[1])
    add = parser.add_argument
    add("--out", metavar="F.json", help="record to write")
    add("--shape", choices=tuple(SHAPES), default="100m", help="model and prompts (default: %(default)s)")
    add("--rows", type=int, default=32, help="sequences of a step (default: %(default)s)")
    add("--new", type=int, default=320, help="tokens of a completion (default: %(default)s)")
    add("--ways", nargs="+", choices=tuple(WAYS), default=list(WAYS), help="of this project (default: all)")
    add("--trl", metavar="PYTHON", help="interpreter of an environment with TRL; without it TRL is left out")
    add("--check-rows", type=int, default=0, help="sequences at which the count is checked (default: 0, not)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s")
    add("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the weights (default: %(default)s)")
    add("--compute", choices=("float32", "bfloat16"), default="float32", help="of the products (default: %(default)s)")
    for hidden in ("--contestant", "--folder"):
        add(hidden, help=argparse.SUPPRESS)
    for number in ("--micro-batch-size", "--micro-batch-tokens"):
        add(number, type=int, help=argparse.SUPPRESS)
    for switch in ("--checkpointing", "--arithmetic"):
        add(switch, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.contestant:
        shape, folder = SHAPES[options.shape] | {"batch": options.rows, "new": options.new}, Path(options.folder)
        if options.contestant == "trl":
            take_foreign(folder, shape, options)
        answer(take_own(folder, shape, options))
    clock = Clock(options.device)
    settings = {
        name: getattr(options, name)
        for name in ("shape", "rows", "new", "ways", "check_rows", "device", "dtype", "compute")
    }
    content: dict[str, Any] = {"settings": settings, "machine": machine(options.device)}
    # What is measured is written at once: the rest may take long.
    for found in chain(measure(options), forecasts()):
        content |= found
        if options.out:
            write_json(options.out, content | {"manifest": manifest("memory", clock=clock, config=settings)})
    print(table(content))


if __name__ == "__main__":
    run_main(main)
