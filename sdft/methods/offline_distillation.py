"""Offline distillation (paper, Figure 6): SDFT's loss and teacher, along completions that are fixed beforehand.

Each row has one completion, sampled once before the first step from the base model shown the demonstration. The
teacher's own weights may move during training, the completions do not. No importance correction applies to them: they
are not the student's samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sdft.methods.base import Engine
from sdft.methods.sdft import SDFT

if TYPE_CHECKING:
    from sdft.losses.encoding import Completions, Example


class OfflineDistillation(SDFT):
    """SDFT without its on-policy samples; one fixed completion a row, whatever `rollouts_per_prompt` says."""

    title: ClassVar[str] = "Offline distillation"
    look: ClassVar[tuple[str, str]] = ("#009e73", "X")
    sampling: ClassVar[str] = "once"

    @property
    def samples(self) -> int:
        return 1

    def completions(
        self, examples: list[Example], student: Any, engine: Engine, seed: int, teacher: Any = None
    ) -> Completions:
        from sdft.losses.encoding import completions_of

        return completions_of(examples, self.pad, next(student.parameters()).device)
