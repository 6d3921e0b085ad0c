"""Public attempts to repeat the paper, by the keys of our own tables: a reader of `replications.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sdft.common.errors import SdftError
from sdft.common.schema import Strict

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
    """The file's content. Raises SdftError where a row does not have the form above."""
    try:
        content: Any = yaml.safe_load(FILE.read_text(encoding="utf-8"))
        return Replications.model_validate(content)
    except (yaml.YAMLError, ValidationError) as error:
        raise SdftError(f"{FILE} does not have the form that sdft/evidence/replications.py declares: {error}") from None
