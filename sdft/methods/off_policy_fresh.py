"""Distillation along fresh teacher samples: a control of ours between SDFT and offline distillation.

Offline distillation differs from SDFT in two ways: whose samples it trains on, and that these never change. Here they
are drawn anew at each step, as SDFT's are, but from the teacher as it is then. No importance correction applies to
them: they are not the student's samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sdft.methods.base import Engine
from sdft.methods.sdft import SDFT

if TYPE_CHECKING:
    from sdft.losses.encoding import Completions, Example


class OffPolicyFresh(SDFT):
    """The loss of SDFT along samples of the teacher, which sees the demonstration when it samples.

    With forward KL and no skipped tokens its gradient, summed over tokens, is unbiased for the sequence-level forward
    KL(teacher || student).
    """

    title: ClassVar[str] = "Fresh teacher samples"
    look: ClassVar[tuple[str, str]] = ("#e69f00", ">")
    sampling: ClassVar[str] = "teacher"

    def completions(
        self, examples: list[Example], student: Any, engine: Engine, seed: int, teacher: Any = None
    ) -> Completions:
        return engine.sample(
            teacher,
            [example.teacher_prompt for example in examples],
            temperature=self.settings.temperature,
            max_new_tokens=self.settings.max_new_tokens,
            seed=seed,
        )
