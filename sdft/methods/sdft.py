"""Self-Distillation Fine-Tuning, the paper's method (section 3)."""

from __future__ import annotations

from typing import Any

import torch

from sdft.data.records import Record
from sdft.divergence import distillation_terms, kept_tokens
from sdft.encoding import Completions, Encoder, Example, completion_hidden
from sdft.methods.base import Method, MicroBatch, StepLoss
from sdft.rollout import Engine, importance_weights


class SDFT(Method):
    """The student answers the question alone; at each token of its answer it is drawn to the teacher's distribution.

    The teacher is the same architecture, sees the demonstration as well, and gets no gradient.
    """

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
        room = self.settings.max_new_tokens
        prompt = encoder.fit(record, "the student's prompt", encoder.student_prompt(record), room)
        with_demonstration = encoder.teacher_prompt(record, style)
        teacher_prompt = encoder.fit(record, "the teacher's prompt with the demonstration", with_demonstration, room)
        if prompt is None or teacher_prompt is None:
            return None
        return Example(record.id, prompt, teacher_prompt=teacher_prompt)

    def completions(self, examples: list[Example], student: Any, engine: Engine, seed: int) -> Completions:
        return engine.sample(
            student,
            [example.prompt for example in examples],
            temperature=self.settings.temperature,
            max_new_tokens=self.settings.max_new_tokens,
            seed=seed,
        )

    def loss(self, batch: MicroBatch, student: Any, teacher: Any) -> StepLoss:
        examples, completions = batch.examples, batch.completions
        with torch.no_grad():
            target = completion_hidden(teacher, [example.teacher_prompt for example in examples], completions, self.pad)
        hidden = completion_hidden(student, [example.prompt for example in examples], completions, self.pad)
        terms = distillation_terms(
            hidden,
            student.get_output_embeddings().weight,
            target,
            teacher.get_output_embeddings().weight,
            completions.mask,
            kind=self.settings.divergence,
            beta=self.settings.jsd_weight,
            temperature=self.settings.temperature,
            tokens=completions.tokens,
        )
        weights = None
        if self.settings.importance_clip is not None:
            weights = importance_weights(
                terms.log_prob, completions.log_probs, completions.mask, self.settings.importance_clip
            )
        return self.reduce(terms, kept_tokens(completions.mask, self.skip_tokens), weights)
