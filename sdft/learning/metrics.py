"""What a step writes into metrics.jsonl: sums over its micro-batches, and distances of the weights from the start."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from sdft.divergence import BatchLoss
from sdft.learning.processes import SingleProcess
from sdft.losses.encoding import Completions

# Distances from the start cost a pass over all weights, so they are measured every so many steps.
DISTANCE_STEPS = 10


class Totals:
    """Sums over the micro-batches of one step, from which its metrics are made."""

    def __init__(self, completions: Completions) -> None:
        self.tokens = int(completions.mask.sum())
        self.sequences = len(completions.mask)
        self.sums = torch.zeros(5, dtype=torch.float64, device=completions.tokens.device)
        self.trained, self.weighted = 0, False

    @torch.no_grad()
    def add(self, part: BatchLoss, share: float) -> None:
        """Add a micro-batch that holds `share` of the step's sequences."""
        if not share:
            return
        kept = part.trained
        weights = torch.zeros(()) if part.weights is None else part.weights
        self.weighted = part.weights is not None
        log_prob = 0 * part.terms.entropy if part.terms.log_prob is None else part.terms.log_prob
        values = (
            part.loss * share,
            part.terms.value[kept].sum(),
            part.terms.entropy.sum(),
            log_prob.sum(),
            weights.sum(),
        )
        self.sums += torch.stack([value.double().to(self.sums.device) for value in values])
        self.trained += int(kept.sum())

    def over(self, processes: SingleProcess) -> None:
        """Take in the other processes' sums."""
        self.sums = processes.total(self.sums)
        self.trained, self.weighted = int(processes.total(self.trained)), bool(processes.total(self.weighted))

    def means(self) -> dict[str, float | None]:
        """loss: as trained; token_loss: mean over the tokens that carry loss, in nats (the divergence, or the weighted
        cross-entropy); entropy, log_prob: means over all completion tokens, in nats; importance: mean weight."""
        loss, value, entropy, log_prob, weights = self.sums.tolist()
        return {
            "loss": loss,
            "token_loss": value / max(1, self.trained),
            "entropy": entropy / max(1, self.tokens),
            "log_prob": log_prob / max(1, self.tokens),
            "importance": weights / self.sequences if self.weighted else None,
            "completion_tokens": self.tokens / self.sequences,
        }


class Distances:
    """How far student and teacher are from the weights that training started from.

    The start's weights are kept in the host's memory, of a sharded model this process's part.
    """

    def __init__(self, student: Any, processes: SingleProcess, device: torch.device) -> None:
        self.processes, self.device = processes, device
        weights = processes.local(dict(student.named_parameters()))
        self.start = {name: value.detach().to("cpu", copy=True) for name, value in weights.items()}
        squares = sum(float(value.double().pow(2).sum()) for value in self.start.values())
        self.start_norm = processes.total(squares) ** 0.5

    def measure(self, wanted: bool, student: Any, average: dict[str, Tensor] | None) -> dict[str, float | None]:
        """L2 norms over all weights, absolute and relative; null where they are not wanted, or there is no average.

        average: the EMA teacher's weights. changed_weights is the share of the student's weights that differ from the
        start at all (in bfloat16 many stay).
        """
        names = ("student_distance", "student_distance_relative", "teacher_distance", "changed_weights")
        if not wanted:
            return dict.fromkeys(names)
        distance, changed = self._distance(dict(student.named_parameters()))
        teacher = None if average is None else self._distance(average)[0]
        return dict(zip(names, (distance, distance / self.start_norm, teacher, changed), strict=True))

    @torch.no_grad()
    def _distance(self, weights: dict[str, Tensor]) -> tuple[float, float]:
        """The distance of weights from the start, and the share of them that differ from it."""
        squares = torch.zeros((), dtype=torch.float64, device=self.device)
        changed = torch.zeros((), dtype=torch.int64, device=self.device)
        for name, value in weights.items():
            value, start = self.processes.local(value), self.start[name].to(self.device)
            squares += (value.float() - start.float()).pow(2).sum().double()
            changed += (value != start).sum()
        squares, changed = self.processes.total(squares), self.processes.total(changed)
        return float(squares.sqrt()), float(changed) / sum(value.numel() for value in weights.values())


class Stopwatch:
    """Seconds of the phases of one step, by name; each begins and ends when the device has done what it was told."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        self._wait()
        start = time.perf_counter()
        yield
        self._wait()
        self.seconds[phase] = round(time.perf_counter() - start, 4)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def phase_sums(log: list[dict[str, Any]]) -> dict[str, float]:
    """Seconds of each phase over all steps: what the forecast of other runs is fitted to."""
    return {name: round(sum(entry["phases"][name] for entry in log), 3) for name in log[0]["phases"]}


def line(entry: dict[str, Any]) -> str:
    """One step's metrics as a line of metrics.jsonl."""
    return json.dumps(entry) + "\n"
