"""SFT with replay: beside the demonstrations, what the base model itself says to general prompts of no task."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, ClassVar

from sdft.common.schema import Rate, Strict
from sdft.methods.sft import SFT

if TYPE_CHECKING:
    from sdft.losses.encoding import Encoder, Example
    from sdft.records.record import Record


class SFTWithReplay(SFT):
    """SFT on the rows and on general prompts, `replay` of them for each row.

    The answers to the prompts are sampled once from the base model, before the first step.
    """

    class Options(Strict):
        replay: Rate = 0.5

    title: ClassVar[str] = "SFT + replay"
    look: ClassVar[tuple[str, str]] = ("#44aa99", "d")
    sampling: ClassVar[str] = "once"
    replays: ClassVar[bool] = True

    def arrange(self, records: list[Record], prompts: list[Record], seed: int) -> list[Record]:
        count = min(len(prompts), round(self.options.replay * len(records)))
        return [*records, *random.Random(f"{seed}/replay").sample(prompts, count)]

    def encode(self, record: Record, encoder: Encoder, style: str) -> Example | None:
        from sdft.losses.encoding import Example

        if record.demonstrations:
            return super().encode(record, encoder, style)
        room = self.settings.max_new_tokens
        prompt = encoder.fit(record, "the prompt", encoder.student_prompt(record), room)
        return None if prompt is None else Example(record.id, prompt, teacher_prompt=prompt)
