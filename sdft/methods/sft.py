"""Supervised fine-tuning on the demonstrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sdft.methods.base import Engine, Method, MicroBatch

if TYPE_CHECKING:
    from torch import Tensor

    from sdft.divergence import BatchLoss
    from sdft.losses.encoding import Completions, Encoder, Example
    from sdft.records.record import Record


class SFT(Method):
    """Cross-entropy of the demonstration's tokens given the question; the prompt's tokens carry no loss."""

    title: ClassVar[str] = "SFT"
    look: ClassVar[tuple[str, str]] = ("#d55e00", "v")
    weighting: ClassVar[str] = "none"

    def encode(self, record: Record, encoder: Encoder, style: str) -> Example | None:
        from sdft.losses.encoding import Example

        target = encoder.target(record, style)
        prompt = encoder.fit(record, "the prompt", encoder.student_prompt(record), len(target))
        return None if prompt is None else Example(record.id, prompt, completion=target)

    def completions(
        self, examples: list[Example], student: Any, engine: Engine, seed: int, teacher: Any = None
    ) -> Completions:
        from sdft.losses.encoding import completions_of

        return completions_of(examples, self.pad, next(student.parameters()).device)

    def loss(self, batch: MicroBatch, student: Any, teacher: Any) -> BatchLoss:
        return self._supervised(batch, student, self._hidden(batch, student))

    def _hidden(self, batch: MicroBatch, model: Any) -> Tensor:
        """Final hidden states [B, C, d] of a model that sees the questions alone."""
        from sdft.losses.encoding import completion_hidden

        return completion_hidden(model, [example.prompt for example in batch.examples], batch.completions, self.pad)

    def _supervised(self, batch: MicroBatch, student: Any, hidden: Tensor) -> BatchLoss:
        from sdft.divergence import supervise

        completions = batch.completions
        return supervise(
            hidden,
            student.get_output_embeddings().weight,
            completions.tokens,
            completions.mask,
            weighting=self.weighting,
            reduction=self.settings.loss_reduction,
        )
