"""What every method has to say, so that one loop can train them all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor

from sdft.data.records import Record
from sdft.divergence import TokenTerms, reduce_tokens
from sdft.encoding import Completions, Encoder, Example
from sdft.rollout import Engine


@dataclass(frozen=True)
class MicroBatch:
    """The sequences that go through the models at the same time."""

    examples: list[Example]
    completions: Completions


@dataclass(frozen=True)
class StepLoss:
    """Loss of a micro-batch, a mean over its sequences, and what the metrics are made of.

    terms: at each completion token. trained: [B, C], the tokens that carry loss. weights: importance weights [B, 1].
    """

    loss: Tensor
    terms: TokenTerms
    trained: Tensor
    weights: Tensor | None = None


class Method(ABC):
    """One way to train. It holds no weights; models are handed in.

    settings: TrainingSettings. pad: the id that fills up rows. teacher: None, "base" (frozen), "ema" or "student".
    sampling: None where the rows hold the completions; "student" or "teacher" where that one, as it is now, samples
    them at every step; "once" where the base model shown the teacher's prompt does, before the first step.
    """

    sampling: ClassVar[Literal["student", "teacher", "once"] | None] = None

    def __init__(self, settings: Any, pad: int) -> None:
        self.settings = settings
        self.pad = pad

    @property
    def teacher(self) -> str | None:
        return None

    @property
    def samples(self) -> int:
        """Sequences that a row becomes in a step."""
        return 1

    @abstractmethod
    def encode(self, record: Record, encoder: Encoder, style: str) -> Example | None:
        """The row as token ids; None where a length limit drops it. style: of the demonstration."""

    @abstractmethod
    def completions(
        self, examples: list[Example], student: Any, engine: Engine, seed: int, teacher: Any = None
    ) -> Completions:
        """What this step trains on."""

    @abstractmethod
    def loss(self, batch: MicroBatch, student: Any, teacher: Any) -> StepLoss:
        """The loss of a micro-batch, with its gradient to the student."""

    def reduce(self, terms: TokenTerms, trained: Tensor, weights: Tensor | None = None) -> StepLoss:
        """Terms reduced to a loss as the setting `loss_reduction` has it."""
        loss = reduce_tokens(terms.value, trained, self.settings.loss_reduction, weights)
        return StepLoss(loss, terms, trained, weights)
