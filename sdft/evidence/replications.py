"""Public attempts to repeat the paper, by the keys of our own tables: a reader of `replications.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sdft.common.errors import SdftError, did_you_mean
from sdft.common.schema import Strict
from sdft.evidence.statements import catalogue

FILE = Path(__file__).with_name("replications.yaml")


class Value(Strict):
    """One reported number in percent, or a range where only that is reported; n: test items."""

    task: str
    method: str
    metric: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    note: str = ""

    @property
    def text(self) -> str:
        """The number or range as it was reported."""
        return f"{self.low:g} to {self.high:g}" if self.value is None else f"{self.value:g}"


class Source(Strict):
    """One attempt: where it is published, what was run, and in what its measures are others than the paper's."""

    id: str
    where: str
    setup: str
    differs: list[str]
    values: list[Value]


class Found(Strict):
    """What independent results say of a claim, by its id in the ledger."""

    claim: str
    found: str


class Replications(Strict):
    """The whole file. `none`: of what no independent result is known."""

    sources: list[Source]
    claims: list[Found]
    none: str

    def of(self, key: tuple[str, str, str]) -> list[tuple[Source, Value]]:
        """Every reported number of a task, method and metric."""
        return [
            (source, value)
            for source in self.sources
            for value in source.values
            if (value.task, value.method, value.metric) == key
        ]


@cache
def replications() -> Replications:
    """The file's content. Raises SdftError where a row has not the form above or names no claim of the ledger."""
    found = _read()
    known = statements()
    for entry in found.claims:
        if entry.claim not in known:
            raise SdftError(f"{FILE}: the ledger has no claim {entry.claim!r}; {did_you_mean(entry.claim, known)}")
    return found


def statements() -> dict[str, str]:
    """Every statement of the ledger by its id."""
    return {statement.id: statement.statement for own in catalogue().values() for statement in own}


def _read() -> Replications:
    try:
        content: Any = yaml.safe_load(FILE.read_text(encoding="utf-8"))
        return Replications.model_validate(content)
    except (yaml.YAMLError, ValidationError) as error:
        raise SdftError(f"{FILE} does not have the form that sdft/evidence/replications.py declares: {error}") from None
