"""What every method declares and does, so that one loop can train them all.

Importing a method imports no torch: the plan and the tables read its declarations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from sdft.common.schema import Strict

if TYPE_CHECKING:
    from sdft.divergence import BatchLoss
    from sdft.losses.encoding import Completions, Encoder, Example
    from sdft.methods.settings import TrainingSettings
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
    # The frozen base model, for the methods that are anchored to it.
    base: Any = None


class Method(ABC):
    """One way to train. It holds no weights; models are handed in.

    settings: TrainingSettings. pad: the id that fills up rows. options: the method's own, by default its defaults.

    Declarations, which the configuration, the plan, the forecast and the pages read:

    title: what tables call it. look: colour and marker in figures.
    rows: the records file that it trains on, a key of a run's `data`: "train" (the task's), "prompts" (general prompts
    of no task) or "corpus" (raw texts).
    sampling: None where the rows hold the completions; "student" or "teacher" where that model, as it is now, samples
    them at every step; "once" where the base model shown the teacher's prompt does, before the first step.
    shows_demonstration: whether a model is shown the demonstration beside the question.
    anchored: whether its loss looks at the frozen base model besides (`MicroBatch.base`).
    replays: whether general prompts of no task are mixed into its rows (`arrange`).
    averages: whether its teacher may be an average of the student, so that its sweep has a rate for it.
    starts_from: the arm whose final run it starts from, where the configuration names no other parent.
    Options: settings that this method alone has, each with a default. An arm sets them, a grid may sweep them.
    """

    class Options(Strict):
        """A method without options of its own."""

    title: ClassVar[str]
    look: ClassVar[tuple[str, str]]
    rows: ClassVar[Literal["train", "prompts", "corpus"]] = "train"
    sampling: ClassVar[Literal["student", "teacher", "once"] | None] = None
    shows_demonstration: ClassVar[bool] = False
    anchored: ClassVar[bool] = False
    replays: ClassVar[bool] = False
    averages: ClassVar[bool] = False
    starts_from: ClassVar[str | None] = None

    def __init__(self, settings: TrainingSettings, pad: int, options: Strict | None = None) -> None:
        self.settings = settings
        self.pad = pad
        self.options = options or self.Options()

    @classmethod  # noqa: B027
    def check(cls, settings: TrainingSettings) -> None:
        """Raise ValueError for training settings that this method cannot train with; any will do by default."""

    @property
    def teacher(self) -> str | None:
        """Whose weights the teacher has: None, "base" (frozen), "ema" or "student"."""
        return None

    @property
    def samples(self) -> int:
        """Sequences that a row becomes in a step."""
        return 1

    def arrange(self, records: list[Record], prompts: list[Record], seed: int) -> list[Record]:
        """The rows of a whole training, from those of the file; prompts: the general ones, where it replays them."""
        return records

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
