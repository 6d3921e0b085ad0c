"""Offline distillation (paper, Figure 6): SDFT's loss and teacher, along completions that are fixed beforehand.

Each row has one completion, sampled once before the first step from the base model shown the demonstration. The
teacher's own weights may move during training, the completions do not. No importance correction applies to them: they
are not the student's samples.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sdft.encoding import Completions, Example, completions_of
from sdft.methods.sdft import SDFT
from sdft.rollout import Engine


class OfflineDistillation(SDFT):
    """SDFT without its on-policy samples; one fixed completion a row, whatever `rollouts_per_prompt` says."""

    sampling: ClassVar[str] = "once"

    @property
    def samples(self) -> int:
        return 1

    def completions(
        self, examples: list[Example], student: Any, engine: Engine, seed: int, teacher: Any = None
    ) -> Completions:
        return completions_of(examples, self.pad, next(student.parameters()).device)
