"""SFT + re-invoke: after SFT, on-policy distillation from the base model on general prompts, to restore prior skills.

The paper names the baseline after Lu and Thinking Machines Lab (2025) and states neither prompts, steps nor rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sdft.methods.sdft import SDFT

if TYPE_CHECKING:
    from sdft.losses.encoding import Encoder, Example
    from sdft.records.record import Record


class SFTReinvoke(SDFT):
    """The loss of SDFT with the frozen base model as teacher, which sees the same prompt as the student.

    No first tokens are skipped: without a demonstration there are no phrases to inherit from it.
    """

    title: ClassVar[str] = "SFT + re-invoke"
    look: ClassVar[tuple[str, str]] = ("#cc79a7", "D")
    rows: ClassVar[str] = "prompts"
    averages: ClassVar[bool] = False
    shows_demonstration: ClassVar[bool] = False
    starts_from: ClassVar[str | None] = "sft"

    @property
    def teacher(self) -> str:
        return "base"

    @property
    def skip_tokens(self) -> int:
        return 0

    def encode(self, record: Record, encoder: Encoder, style: str) -> Example | None:
        from sdft.losses.encoding import Example

        room = self.settings.max_new_tokens
        prompt = encoder.fit(record, "the prompt", encoder.student_prompt(record), room)
        return None if prompt is None else Example(record.id, prompt, teacher_prompt=prompt)
