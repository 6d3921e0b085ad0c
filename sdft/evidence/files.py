"""What is read of the files that the steps wrote, so that a damaged one is refused by its name and field."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from sdft.common.schema import LARGEST, Written
from sdft.learning.files import Amount, Count, Made, Share


class Mean(Written):
    """A mean with what belongs to it."""

    mean: float


class TaskPoint(Written):
    """Accuracy on a task at a point along a training."""

    value: Share
    correct: list[Share] | None = None


class Point(Written):
    """A point along a training."""

    step: int
    fraction: Share
    tasks: dict[str, TaskPoint | None] | None = None
    prior_average: Share | None = None
    in_context: dict[str, TaskPoint] | None = None


class Trajectory(Written):
    """`sdft.evaluate.trajectory`."""

    points: list[Point]


class PassKItem(Written):
    id: str | int
    correct: Annotated[int, Field(ge=0)]


class PassK(Written):
    """`sdft.evaluate.passk`."""

    n_samples: Count
    items: list[PassKItem]

    @model_validator(mode="after")
    def _no_more_than_were_drawn(self) -> PassK:
        if any(item.correct > self.n_samples for item in self.items):
            raise ValueError("an item has more correct samples than were drawn")
        if len({str(item.id) for item in self.items}) < len(self.items):
            raise ValueError("an item stands in it twice")
        return self


class DivergenceItem(Written):
    id: str | int | None = None
    nats_per_sequence: float | list[float] | None = None
    nats: float | list[float] | None = None


class Divergence(Written):
    """`sdft.evaluate.distance`."""

    nats_per_sequence: Mean
    nats_per_token: Mean | None = None
    items: list[DivergenceItem] | None = None
    n_prompts: int = 0
    definition: str = ""


class Tokens(Written):
    sequences: Count = 1


class Flops(Written):
    """`sdft.learning.flops`."""

    total: Annotated[float, Field(gt=0)]
    tokens: Tokens = Tokens()


class Batch(Written):
    batch_size: Count = 1


class Run(Written):
    hyperparameters: Batch | None = None


class Model(Written):
    """model.json of a run."""

    manifest: Made | None = None
    steps: Annotated[int, Field(ge=0)] | None = None
    run: Run | None = None
    candidate: str | None = None


class Score(Written):
    """{benchmark}.json of an evaluation."""

    benchmark: str | None = None
    value: Share
    n: Count
    metric: str | None = None
    metrics: dict[str, Any] | None = None
    manifest: Made | None = None
    responses_sha256: str | None = None


class Outcome(Written):
    """A line of an evaluation's responses.jsonl.gz."""

    benchmark: str
    id: str | int
    correct: Share
    weight: Annotated[float, Field(gt=0, le=LARGEST)] = 1.0
    lenient: Share | None = None
    new_tokens: Amount | None = None
    offline: Share | None = None
    cluster: str | int | None = None


class Check(Written):
    benchmark: str
    passed: bool


class Gate(Written):
    """`sdft.study.gate`."""

    model: str
    checks: list[Check]


class Ranked(Written):
    run: str
    hyperparameters: dict[str, Any]
    validation: Share
    prior_average: Share | None = None


class Selected(Written):
    """selected/{task}/{arm}.json."""

    rule: str = ""
    winner: dict[str, Any]
    winner_run: str | None = None
    ranking: Annotated[list[Ranked], Field(min_length=1)]


# Further measures of a model, by their kind in a plan.
MEASURES = {"trajectory": Trajectory, "passk": PassK, "divergence": Divergence, "flops": Flops}
