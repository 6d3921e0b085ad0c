"""Self-Distillation Fine-Tuning, the paper's method (section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sdft.methods.base import Engine, Method, MicroBatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from sdft.divergence import BatchLoss
    from sdft.losses.encoding import Completions, Encoder, Example
    from sdft.methods.settings import TrainingSettings
    from sdft.records.record import Record


class SDFT(Method):
    """The student answers the question alone; at each token of its answer it is drawn to the teacher's distribution.

    The teacher is the same architecture, sees the demonstration as well, and gets no gradient.
    """

    title: ClassVar[str] = "SDFT"
    look: ClassVar[tuple[str, str]] = ("#0072b2", "o")
    averages: ClassVar[bool] = True
    sampling: ClassVar[str] = "student"
    shows_demonstration: ClassVar[bool] = True

    @classmethod
    def check(cls, settings: TrainingSettings) -> None:
        if cls.sampling != "student" and settings.estimator != "analytic":
            raise ValueError(
                f"estimator {settings.estimator} weighs the student's own samples, and {cls.title} trains on the "
                "teacher's; set estimator: analytic"
            )

    @property
    def teacher(self) -> str:
        return self.settings.teacher

    @property
    def samples(self) -> int:
        return self.settings.rollouts_per_prompt

    @property
    def skip_tokens(self) -> int:
        return self.settings.skip_tokens

    def encode(self, record: Record, encoder: Encoder, style: str) -> Example | None:
        from sdft.losses.encoding import Example

        room = self.settings.max_new_tokens
        prompt = encoder.fit(record, "the student's prompt", encoder.student_prompt(record), room)
        with_demonstration = encoder.teacher_prompt(record, style)
        teacher_prompt = encoder.fit(record, "the teacher's prompt with the demonstration", with_demonstration, room)
        if prompt is None or teacher_prompt is None:
            return None
        return Example(record.id, prompt, teacher_prompt=teacher_prompt)

    def completions(
        self, examples: list[Example], student: Any, engine: Engine, seed: int, teacher: Any = None
    ) -> Completions:
        return engine.sample(
            student,
            [example.prompt for example in examples],
            temperature=self.settings.temperature,
            max_new_tokens=self.settings.max_new_tokens,
            seed=seed,
        )

    def loss(self, batch: MicroBatch, student: Any, teacher: Any) -> BatchLoss:
        return self._distilled(batch, self._states(batch, student, teacher))

    def _distilled(self, batch: MicroBatch, states: list[Tensor]) -> BatchLoss:
        """The loss from the states of `_states`."""
        from sdft.divergence import distill

        completions = batch.completions
        if self.settings.estimator != "analytic":
            return self._estimated(states, completions)
        return distill(
            *states,
            completions.mask,
            kind=self.settings.divergence,
            beta=self.settings.jsd_weight,
            temperature=self.settings.temperature,
            skip_tokens=self.skip_tokens,
            tokens=completions.tokens,
            weights=self._importance(completions),
            reduction=self.settings.loss_reduction,
        )

    def _states(self, batch: MicroBatch, student: Any, teacher: Any) -> list[Tensor]:
        """Final hidden states [B, C, d] and output embeddings [V, d] of the student, then those of the teacher."""
        import torch

        from sdft.losses.encoding import completion_hidden

        examples, completions = batch.examples, batch.completions
        with torch.no_grad():
            target = completion_hidden(teacher, [example.teacher_prompt for example in examples], completions, self.pad)
        hidden = completion_hidden(student, [example.prompt for example in examples], completions, self.pad)
        return [hidden, student.get_output_embeddings().weight, target, teacher.get_output_embeddings().weight]

    def _estimated(self, states: list[Tensor], completions: Completions) -> BatchLoss:
        """The loss of the sampled estimators; its value is their estimate of the sequence-level reverse KL."""
        from sdft.divergence import kept_tokens
        from sdft.fused import Layer
        from sdft.losses.estimators import estimated

        return estimated(
            self.settings.estimator,
            Layer(*states[:2]),
            Layer(*states[2:]),
            completions.tokens,
            completions.mask,
            kept_tokens(completions.mask, self.skip_tokens),
            temperature=self.settings.temperature,
            weigh=self._importance(completions),
        )

    def _importance(self, completions: Completions) -> Callable[[Tensor], Tensor] | None:
        """Makes weights [B, 1] against an engine whose probabilities differ from the student's, from the student's.

        None without correction. The student's own samples alone are corrected: on another model's the ratio would be
        the policies' own.
        """
        clip = self.settings.importance_clip
        if self.sampling != "student" or clip is None:
            return None
        from sdft.losses.importance import importance_weights

        return lambda log_prob: importance_weights(log_prob, completions.log_probs, completions.mask, clip)
