"""What is read of the files that a sweep and its selection wrote, so that a damaged one is refused by its name."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from sdft.common.schema import Written
from sdft.methods.hyperparameters import Hyperparameters

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)]
# The remedy for a damaged candidate, of which a file or the folder goes.
ANEW = "delete {what} and run the same command again to train that candidate anew"


class Made(Written):
    """The part of a manifest from which costs are added up."""

    step: str | None = None
    seconds: Amount | None = None
    device_hours: Amount | None = None
    commit: str | None = None


class Validated(Written):
    value: Share
    n: Count


class Values(Hyperparameters):
    """The swept values, whose numbers are not read from text."""

    model_config = ConfigDict(strict=True)


class Candidate(Written):
    """validation.json or rung.json of a candidate."""

    run: Annotated[str, Field(min_length=1)]
    hyperparameters: Values
    validation: Validated
    prior: dict[str, Share] | None = None
    prior_average: Share | None = None
    diverged: str | None = None
    seed: int | None = None
    base: str | None = None
    scored: dict[str, str] = {}
    stopped: dict[str, int | None] = {}
    offline: Share | None = None
    stale: list[str] = []
    manifest: Made | None = None


class Reply(Written):
    id: str
    response: str


class Answers(Written):
    questions: str
    responses: list[Reply]


class Replies(Written):
    """replies.json.gz beside validation.json."""

    validation: Answers
    prior: dict[str, dict[str, list[Any]]] = {}


class LookedAt(Written):
    inputs: dict[str, Any] = {}


class Selection(Written):
    """selected/{task}/{arm}.json, of which the candidates that were compared."""

    manifest: LookedAt = LookedAt()
