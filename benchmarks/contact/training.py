"""The training step by phases, with its memory; whether it repeats itself; what recomputed activations cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.contact import Verdict
from benchmarks.contact.bench import GIB, PAD, Bench, Phases, error
from benchmarks.contact.numbers import sdft_loss, some_completions
from sdft.divergence import distill
from sdft.learning.metrics import Distances
from sdft.learning.optimization import make_optimizer
from sdft.learning.processes import SingleProcess
from sdft.losses.encoding import Completions, completion_hidden
from sdft.losses.importance import importance_weights
from sdft.teacher import EMATeacher


def step(bench: Bench) -> Iterator[Verdict]:
    """Two steps as `sdft.learning.loop.Training.step` makes them, with Table 5's arithmetic; the second is timed."""
    rows, longest, new = (4, 24, 8) if bench.tiny else (16, 1024, 192)
    student = bench.large
    prepared = Phases(bench)
    with prepared("states"):
        student.gradient_checkpointing_enable()
        teacher = EMATeacher(student, 0.01, getattr(torch, bench.settings.ema_dtype))
        optimizer = make_optimizer(student.parameters(), bench.settings, torch.bfloat16)
        distances = Distances(student, SingleProcess(), bench.device)
    for _ in range(2):
        phases = Phases(bench)
        loss = one_step(bench, student, teacher, optimizer, phases, rows, longest, new)
    with phases("distances"):
        moved = distances.measure(True, student, teacher.average)
    yield Verdict("step.loss", "finite", {"loss": loss}, loss == loss and abs(loss) < 1e4)
    good = moved["changed_weights"] > 0 and moved["teacher_distance"] > 0
    yield Verdict("step.student_and_teacher_move", "both, after two steps", moved, good)
    sequences = ("teacher", "student", "loss", "backward")
    seconds = {name: round(value, 4) for name, value in phases.seconds.items()}
    trained = sum(phases.seconds[name] for name in sequences)
    measured = {
        "layers": bench.layers,
        "sequences": rows,
        "prompt_tokens": longest,
        "new_tokens": new,
        "seconds": seconds,
        "states_seconds": round(prepared.seconds["states"], 2),
        "rollout_ms_a_token": round(1000 * phases.seconds["rollout"] / new, 2),
        "training_seconds_a_sequence": round(trained / rows, 4),
    }
    yield Verdict("step.phases", "recorded: these are units of the forecast", measured, None)
    # Two operations a weight and token in the teacher's pass, six in the student's; a recomputation does not count.
    inner = bench.parameters() - bench.shape["vocab_size"] * bench.shape["hidden_size"]
    rate = rows * (longest * 7 // 8 + new) * 8 * inner / trained / 1e12
    yield Verdict("step.teraflops", "recorded: set it against peaks.matmul", {"teraflops": round(rate, 2)}, None)
    if bench.gpu:
        yield from _peaks(bench, phases, longest + new)
    del student, teacher, optimizer, distances
    bench.free()


def one_step(
    bench: Bench, student: Any, teacher: EMATeacher, optimizer: Any, phases: Phases, rows: int, longest: int, new: int
) -> float:
    """Rollout, then a sequence at a time teacher, student, loss and backward, then update and EMA; the loss."""
    prompts, shown = bench.prompts(rows, longest), bench.prompts(rows, longest + longest // 4)
    with phases("rollout"):
        found = bench.engine().sample(student, prompts, temperature=1.0, max_new_tokens=new, seed=0)
    total = 0.0
    student.train()
    for row in range(rows):
        part = found.part(slice(row, row + 1))
        total += _add_gradient(student, teacher.model, [prompts[row]], [shown[row]], part, phases, rows)
    with phases("update"):
        torch.nn.utils.clip_grad_norm_(student.parameters(), bench.settings.max_grad_norm)
        optimizer.param_groups[0]["lr"] = 1e-5
        optimizer.step()
        optimizer.zero_grad()
    with phases("ema"):
        teacher.update(student)
    return total / rows


def _add_gradient(
    student: Any, teacher: Any, prompts: Any, shown: Any, found: Completions, phases: Phases, rows: int
) -> float:
    with phases("teacher"), torch.no_grad():
        target = completion_hidden(teacher, shown, found, PAD)
    with phases("student"):
        hidden = completion_hidden(student, prompts, found, PAD)
    with phases("loss"):
        heads = [model.get_output_embeddings().weight for model in (student, teacher)]
        loss = distill(
            hidden,
            heads[0],
            target,
            heads[1],
            found.mask,
            skip_tokens=3,
            tokens=found.tokens,
            weights=lambda log_prob: importance_weights(log_prob, found.log_probs, found.mask, 2.0),
        ).loss
    with phases("backward"):
        (loss / rows).backward()
    return loss.item()


def _peaks(bench: Bench, phases: Phases, tokens: int) -> Iterator[Verdict]:
    found = max(phases.peaks.values())
    expected = bench.forecast(bench.layers, tokens)
    measured = {
        "peak_gib": {name: round(value, 2) for name, value in phases.peaks.items()},
        "reserved_gib": round(torch.cuda.max_memory_reserved() / GIB, 2),
        "forecast_gib": round(expected, 2),
        "retries": torch.cuda.memory_stats()["num_alloc_retries"],
    }
    good = abs(found / expected - 1) < 0.1
    yield Verdict("step.memory", "within 10 % of the forecast of budget.py", measured, good)


def determinism(bench: Bench) -> Iterator[Verdict]:
    """The same seed gives the same tokens, the same batch the same gradient."""
    model = bench.model(num_hidden_layers=2)
    prompts, shown = bench.prompts(4, 64), bench.prompts(4, 96)
    drawn = [bench.engine().sample(model, prompts, temperature=1.0, max_new_tokens=16, seed=seed) for seed in (3, 3, 4)]
    same, other = torch.equal(drawn[0].tokens, drawn[1].tokens), torch.equal(drawn[0].tokens, drawn[2].tokens)
    yield Verdict(
        "determinism.samples", "equal for one seed, not for two", {"equal": [same, other]}, same and not other
    )
    teacher = bench.model(seed=1, num_hidden_layers=2)
    gradients = []
    for _ in range(2):
        model.zero_grad()
        sdft_loss(model, teacher, prompts, shown, drawn[0]).loss.backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    pairs = list(zip(*gradients, strict=True))
    unequal = sum(not torch.equal(one, two) for one, two in pairs)
    wrong = max(error(one, two) for one, two in pairs)
    measured = {"tensors_that_differ": unequal, "largest_error": wrong}
    expected = "equal, or within 1e-3 where a kernel adds in any order"
    yield Verdict("determinism.gradient", expected, measured, wrong < 1e-3)


def recomputation(bench: Bench) -> Iterator[Verdict]:
    """Gradient checkpointing changes time and memory, and no number."""
    layers, length = (2, 32) if bench.tiny else (4, 1024)
    student, teacher = (bench.model(seed=seed, num_hidden_layers=layers) for seed in (0, 1))
    student.train()
    prompts, shown = bench.prompts(4, length), bench.prompts(4, length + length // 4)
    found = some_completions(prompts, 16 if bench.tiny else 128, bench.shape["vocab_size"], bench.device)
    gradients, seconds, peaks = {}, {}, {}
    for name in ("plain", "recomputed"):
        if name == "recomputed":
            student.gradient_checkpointing_enable()
        # The first pass warms up.
        for _ in range(2):
            student.zero_grad()
            phases = Phases(bench)
            with phases(name):
                sdft_loss(student, teacher, prompts, shown, found).loss.backward()
        seconds |= phases.seconds
        peaks |= phases.peaks
        gradients[name] = [parameter.grad.clone() for parameter in student.parameters()]
    wrong = max(error(one, two) for one, two in zip(*gradients.values(), strict=True))
    measured = {
        "largest_error": wrong,
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
        "peak_gib": {name: round(value, 3) for name, value in peaks.items()},
    }
    yield Verdict("recomputation.gradient", "relative error below 1e-2", measured, wrong < 1e-2)
