"""Supervised fine-tuning on the demonstrations."""

from __future__ import annotations

from typing import Any, ClassVar

from sdft.data.records import Record
from sdft.divergence import supervised_terms
from sdft.encoding import Completions, Encoder, Example, completion_hidden, completions_of
from sdft.methods.base import Method, MicroBatch, StepLoss
from sdft.rollout import Engine


class SFT(Method):
    """Cross-entropy of the demonstration's tokens given the question; the prompt's tokens carry no loss."""

    weighting: ClassVar[str] = "none"

    def encode(self, record: Record, encoder: Encoder, style: str) -> Example | None:
        target = encoder.target(record, style)
        prompt = encoder.fit(record, "the prompt", encoder.student_prompt(record), len(target))
        return None if prompt is None else Example(record.id, prompt, completion=target)

    def completions(
        self, examples: list[Example], student: Any, engine: Engine, seed: int, teacher: Any = None
    ) -> Completions:
        return completions_of(examples, self.pad, next(student.parameters()).device)

    def loss(self, batch: MicroBatch, student: Any, teacher: Any) -> StepLoss:
        completions = batch.completions
        hidden = completion_hidden(student, [example.prompt for example in batch.examples], completions, self.pad)
        head = student.get_output_embeddings().weight
        terms = supervised_terms(hidden, head, completions.tokens, completions.mask, weighting=self.weighting)
        return self.reduce(terms, completions.mask)
