"""What every method declares and does, so that one loop can train them all.

Importing a method imports no torch: the plan and the tables read its declarations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    from sdft.divergence import BatchLoss
    from sdft.losses.encoding import Completions, Encoder, Example
    from sdft.records.record import Record


class Engine(Protocol):
    """Something that samples from a model as it is now."""

    def sample(
        self, model: Any, prompts: list[list[int]], *, temperature: float, max_new_tokens: int, seed: int
    ) -> Completions:
        """One completion for each prompt from the untruncated distribution at `temperature`, decided by `seed`."""
        ...


@dataclass(frozen=True)
class MicroBatch:
    """The sequences that go through the models at the same time."""

    examples: list[Example]
    completions: Completions


class Method(ABC):
    """One way to train. It holds no weights; models are handed in.

    settings: TrainingSettings. pad: the id that fills up rows. teacher: None, "base" (frozen), "ema" or "student".

    Declarations, which the plan, the forecast and the pages read:

    title: what tables call it. look: colour and marker in figures. rows: the records file it trains on, a key of a
    run's `data`: "train" (the task's), "prompts" (general prompts of no task) or "corpus" (raw texts).
    sampling: None where the rows hold the completions; "student" or "teacher" where that model, as it is now, samples
    them at every step; "once" where the base model shown the teacher's prompt does, before the first step.
    averages: whether its teacher may be an average of the student, so that its sweep has a rate for it.
    starts_from: the arm whose final run it starts from, where the study names none. costs_like: the method whose
    forecast it shares until three of its own runs were measured.
    """

    title: ClassVar[str]
    look: ClassVar[tuple[str, str]]
    rows: ClassVar[Literal["train", "prompts", "corpus"]] = "train"
    sampling: ClassVar[Literal["student", "teacher", "once"] | None] = None
    averages: ClassVar[bool] = False
    starts_from: ClassVar[str | None] = None
    costs_like: ClassVar[str | None] = None

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
    def loss(self, batch: MicroBatch, student: Any, teacher: Any) -> BatchLoss:
        """The loss of a micro-batch, with its gradient to the student."""
