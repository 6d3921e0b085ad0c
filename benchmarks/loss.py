"""`python -m benchmarks.loss [--out benchmarks/loss.json]`: time and memory of the losses against their naive form.

The naive form makes the logits of all tokens and leaves the gradient to autograd. The two run in turn on the same
inputs, forward and backward, and after them the matrix products alone; a ratio is the median of those of neighbours.
On a CPU the time is CPU time of this process on one thread; on a GPU it is wall-clock between synchronisations.

Memory is the peak of a process of its own beyond what it held before the loss and beyond the gradients. The naive form
needs tens of gigabytes for thousands of tokens, so it is measured at two smaller numbers and its line is drawn on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sdft.common.errors import SdftError, run_main
from sdft.common.files import write_json
from sdft.common.provenance import Clock, manifest
from sdft.divergence import distillation_loss, supervised_loss

KINDS = ("forward_kl", "reverse_kl", "jsd", "sft", "dft")
SEQUENCES = 4
# What decides the speed of a CPU's matrix products and elementwise operations.
INSTRUCTIONS = ("avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile")
MIB = 2**20


class Inputs:
    """Final hidden states [4, tokens / 4, width] and heads [vocabulary, width] of a student and a teacher."""

    def __init__(self, tokens: int, options: argparse.Namespace, width: int) -> None:
        random = torch.Generator(options.device).manual_seed(0)

        def normal(*shape: int) -> Tensor:
            return torch.empty(shape, device=options.device, dtype=dtype).normal_(0, 1, generator=random)

        dtype = getattr(torch, options.dtype)
        states, head = (SEQUENCES, tokens // SEQUENCES, width), (options.vocabulary, width)
        # Logits of about 3: distributions neither flat nor certain.
        self.student = normal(*states).requires_grad_(), normal(*head).mul_(3 / width**0.5).requires_grad_()
        self.teacher = normal(*states), normal(*head).mul_(3 / width**0.5)
        self.tokens = torch.randint(options.vocabulary, states[:2], device=options.device, generator=random)
        self.mask = torch.ones(states[:2], dtype=torch.bool, device=options.device)


def naive(kind: str, inputs: Inputs) -> Tensor:
    """A mean over tokens, written as briefly as it can be: no safety for impossible tokens, no entropy."""
    own = (inputs.student[0] @ inputs.student[1].T).float().log_softmax(-1)
    if kind in ("sft", "dft"):
        log_prob = own.gather(-1, inputs.tokens[..., None])[..., 0]
        return -(log_prob * (log_prob.detach().exp() if kind == "dft" else 1)).mean()
    with torch.no_grad():
        other = (inputs.teacher[0] @ inputs.teacher[1].T).float().log_softmax(-1)
    if kind == "forward_kl":
        return (other.exp() * (other - own)).sum(-1).mean()
    if kind == "reverse_kl":
        return (own.exp() * (own - other)).sum(-1).mean()
    p, q = own.exp(), other.exp()
    mixture = ((p + q) / 2).log()
    return ((q * (other - mixture)).sum(-1) + (p * (own - mixture)).sum(-1)).mean() / 2


def fused(kind: str, inputs: Inputs) -> Tensor:
    if kind in ("sft", "dft"):
        return supervised_loss(*inputs.student, inputs.tokens, inputs.mask, "dft" if kind == "dft" else "none")
    return distillation_loss(*inputs.student, *inputs.teacher, inputs.mask, kind)


def products(kind: str, inputs: Inputs) -> None:
    """The matrix products that every form needs, and nothing else: the least that a loss can take."""
    (hidden, head), other = (tensor.detach().flatten(0, -2) for tensor in inputs.student), inputs.teacher
    slopes = hidden @ head.T
    if kind not in ("sft", "dft"):
        other[0].flatten(0, -2) @ other[1].T
    slopes @ head
    slopes.T @ hidden


FORMS: dict[str, Callable[[str, Inputs], Tensor]] = {"naive": naive, "fused": fused}


def step(form: str, kind: str, inputs: Inputs) -> float:
    """The loss after one forward and backward pass; the gradients are the inputs'."""
    for tensor in inputs.student:
        tensor.grad = None
    loss = FORMS[form](kind, inputs)
    loss.backward()
    return loss.item()


def seconds(device: str, run: Callable[[], Any]) -> float:
    if device == "cpu":
        start = time.process_time()
        run()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def timed(kind: str, width: int, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of both forms, taken in turn, and how far their losses and gradients differ, relatively.

    floor: the share of the naive form's time that the matrix products alone take.
    """
    inputs = Inputs(options.tokens, options, width)
    found: dict[str, list[float]] = {form: [] for form in (*FORMS, "products")}
    results = {}
    # The first round warms up.
    for number in range(options.repeats + 1):
        for form in FORMS:
            spent = seconds(options.device, lambda form=form: results.update({form: step(form, kind, inputs)}))
            if number:
                found[form].append(spent)
            else:
                results[form + "_gradients"] = [tensor.grad for tensor in inputs.student]
        spent = seconds(options.device, lambda: products(kind, inputs))
        if number:
            found["products"].append(spent)
    ratios, floors = (
        [one / naive for one, naive in zip(found[form], found["naive"], strict=True)] for form in ("fused", "products")
    )
    expected = results["naive_gradients"]
    return {
        "kind": kind,
        "width": width,
        "naive_seconds": round(statistics.median(found["naive"]), 4),
        "fused_seconds": round(statistics.median(found["fused"]), 4),
        "ratio": round(statistics.median(ratios), 4),
        "ratios": [round(ratio, 4) for ratio in ratios],
        "floor": round(statistics.median(floors), 4),
        "loss_difference": abs(results["fused"] / results["naive"] - 1),
        "gradient_difference": max(
            float((one - two).norm() / two.norm())
            for one, two in zip(results["fused_gradients"], expected, strict=True)
        ),
    }


def peak_mib(form: str, tokens: int, width: int, options: argparse.Namespace) -> float:
    """Peak memory of a step of forward KL beyond what was there before and beyond the gradients, in MiB."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure_peak, args=(sender, form, tokens, width, options))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        raise SdftError(
            f"the {form} loss of {tokens} tokens ended without a measure; it may not fit into memory, so give fewer "
            "--tokens or --memory-tokens."
        ) from None
    finally:
        process.join()


def _measure_peak(sender: Any, form: str, tokens: int, width: int, options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    small = argparse.Namespace(**{**vars(options), "vocabulary": 100})
    # Libraries load what they need on their first use.
    step(form, "forward_kl", Inputs(SEQUENCES, small, 8))
    inputs = Inputs(tokens, options, width)
    gradients = sum(tensor.numel() * tensor.itemsize for tensor in inputs.student)
    if options.device == "cpu":
        # Starts the peak afresh. getrusage would go on from the parent's.
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        before = resident("VmRSS")
        step(form, "forward_kl", inputs)
        peak = resident("VmHWM")
    else:
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step(form, "forward_kl", inputs)
        peak = torch.cuda.max_memory_allocated()
    sender.send((peak - before - gradients) / MIB)


def resident(field: str) -> int:
    """Bytes of this process in memory: now (VmRSS), or at most so far (VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def memory(options: argparse.Namespace) -> dict[str, Any]:
    """Both forms' peaks at options.memory_tokens, the naive one's along the line through two measured numbers."""
    width = options.widths[0]
    few = options.tokens, 2 * options.tokens
    first, second = (peak_mib("naive", tokens, width, options) for tokens in few)
    slope = (second - first) / options.tokens
    expected = first + slope * (options.memory_tokens - options.tokens)
    found = peak_mib("fused", options.memory_tokens, width, options)
    return {
        "kind": "forward_kl",
        "width": width,
        "tokens": options.memory_tokens,
        "naive_measured_mib": {str(few[0]): round(first, 1), str(few[1]): round(second, 1)},
        "naive_mib": round(expected, 1),
        "fused_mib": round(found, 1),
        "ratio": round(found / expected, 4),
    }


def machine(device: str) -> dict[str, Any]:
    """Processor, its instruction sets that matter here, and the GPU."""
    found: dict[str, Any] = {"processor": None, "instructions": [], "threads": torch.get_num_threads()}
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    fields = dict(map(str.strip, line.split(":", 1)) for line in lines if ":" in line)
    names = ("model name", "vendor_id", "cpu family", "model", "stepping")
    found["processor"] = {name: fields.get(name) for name in names}
    flags = fields.get("flags", "").split()
    found["instructions"] = [name for name in INSTRUCTIONS if name in flags]
    found["gpu"] = torch.cuda.get_device_name() if device == "cuda" else None
    return found


def table(content: dict[str, Any]) -> str:
    lines = [f"{'loss':<12}{'width':>6}{'naive s':>10}{'fused s':>10}{'ratio':>8}{'floor':>8}"]
    for row in content["time"]:
        lines.append(
            f"{row['kind']:<12}{row['width']:>6}{row['naive_seconds']:>10.3f}{row['fused_seconds']:>10.3f}"
            f"{row['ratio']:>8.2f}{row['floor']:>8.2f}"
        )
    peak = content["memory"]
    lines.append(
        f"memory at {peak['tokens']} tokens: fused {peak['fused_mib']:.0f} MiB, naive {peak['naive_mib']:.0f} MiB "
        f"({peak['ratio']:.1%})"
    )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loss", description=__doc__.split("\n\n")[1])
    add = parser.add_argument
    add("--out", metavar="F.json", help="record to write")
    add("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="losses (default: all)")
    add("--vocabulary", type=int, default=152_064, help="words (default: %(default)s, Qwen2.5-7B's)")
    add("--widths", type=int, nargs="+", default=[256, 896], help="of the hidden states (default: 256 896)")
    add("--tokens", type=int, default=256, help="tokens of a step whose time is taken (default: %(default)s)")
    add("--memory-tokens", type=int, default=8192, help="tokens where memory is compared (default: %(default)s)")
    add("--repeats", type=int, default=5, help="pairs of which the median is taken (default: %(default)s)")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s")
    add("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the inputs (default: %(default)s)")
    add("--quick", action="store_true", help="tiny sizes: does the command work?")
    options = parser.parse_args(arguments)
    if options.quick:
        options.vocabulary, options.widths, options.tokens, options.memory_tokens = 5000, [16], 64, 2048
        options.repeats = 2
    torch.set_num_threads(1)
    clock = Clock(options.device)
    settings = {name: value for name, value in vars(options).items() if name != "out"}
    content = {
        "settings": settings,
        "machine": machine(options.device),
        "time": [timed(kind, width, options) for width in options.widths for kind in options.kinds],
        "memory": memory(options),
    }
    print(table(content))
    if options.out:
        write_json(options.out, content | {"manifest": manifest("loss", clock=clock, config=settings)})


if __name__ == "__main__":
    run_main(main)
