"""Watches a training for the failure that self-distillation has: teacher and student collapse onto each other.

The teacher is shown a demonstration, so its distribution differs from the student's for as long as the demonstration
says something. Where the divergence falls to next to nothing, there is nothing left to learn from: the task is learnt,
or, with a teacher that follows the student fast, both have become the same poor model (lasgroup/SDPO#25;
arXiv 2607.01763). Entropy that falls along with it is the second sign.
"""

from __future__ import annotations

from collections import deque
from typing import Any

# Steps whose mean is the start's level, and the level now.
WINDOW = 10
# Of its level at the start, what the divergence falls below.
SHARE = 0.02


class CollapseMonitor:
    """Told every step of a run whose teacher follows the student; says once what it saw."""

    def __init__(self) -> None:
        self.first: list[float] = []
        self.last: deque[dict[str, Any]] = deque(maxlen=WINDOW)
        self.warning: dict[str, Any] | None = None

    def look(self, entry: dict[str, Any]) -> str | None:
        """A sentence of warning at the step at which divergence has collapsed, else None. entry: of metrics.jsonl."""
        if len(self.first) < WINDOW:
            self.first.append(entry["token_loss"])
            self.entropy = entry["entropy"]
            return None
        self.last.append(entry)
        if self.warning or len(self.last) < WINDOW:
            return None
        level, now = (sum(values) / WINDOW for values in (self.first, [step["token_loss"] for step in self.last]))
        if level <= 0 or now > SHARE * level:
            return None
        self.warning = {
            "step": entry["step"],
            "divergence": now,
            "divergence_at_start": level,
            "entropy": entry["entropy"],
            "completion_tokens": entry["completion_tokens"],
        }
        return (
            f"step {entry['step']}: teacher and student have collapsed onto each other (divergence {now:.2g} nats a "
            f"token, {level:.2g} at the start; entropy {entry['entropy']:.2g}). If the student's answers are poor, "
            "lower ema_rate or the learning rate, or set training.teacher: base."
        )
