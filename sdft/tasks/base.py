"""What every task declares, so that nothing else has to know tasks by name.

A task of one's own is a file in this folder, for example sdft/tasks/law.py:

    from sdft.scoring import named
    from sdft.tasks.base import Task

    TASK = Task(title="Law", look=("#332288", "v", "-"), score=named.exact_match)

and an entry below `scales.{scale}` of the configuration, whose files have a JSON object a line (sdft/records/jsonl.py):

    tasks: [science, law]
    data:
      tasks:
        law:
          train: {path: law/train.jsonl}
          test: {path: law/test.jsonl}

Every arm of the scale is then trained on it, and base models are measured on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from sdft.records import jsonl
from sdft.records.record import Record

# The headline metric of scores that a judge has decided; the task's own rule has "accuracy".
JUDGED_METRIC = "judged_accuracy"


@dataclass(frozen=True)
class Rubric:
    """What a language model is asked that decides which responses are right.

    labels: its possible replies, the first for a right response. instructions: its system turn. lenient: labels that
    an outcome "lenient" counts as right, where the paper reports one beside the strict one.
    """

    labels: tuple[str, ...]
    instructions: str
    lenient: tuple[str, ...] = ()


def _as_they_are(records: list[Record]) -> list[Record]:
    return records


def _nothing(*_: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Task:
    """One new task that a model learns.

    title: what tables call it. look: colour, marker and line style in figures. load: records of one of the task's own
    files, whose schema it checks; a .jsonl file is read by sdft/records/jsonl.py instead. score: 1.0 for a right
    response to a record, else 0.0; its headline rule.

    splits: the files of the task's data, in their order. tests: those on which a trained model is measured; the first
    gives the metric new_task. styles: those of the demonstrations in the task's own files. rubric: how a judge decides
    where no rule can; None where the rule is enough.

    prepare: the records of a whole file, made ready for scoring. details: further outcomes of a response, kept with the
    item beside "correct". metrics: further metrics, from the items with their outcomes. invent: row `number` of the
    split "train" or "test" of a rehearsal, in the schema that `load` reads.
    """

    title: str
    look: tuple[str, str, str]
    score: Callable[[str, Record], float]
    load: Callable[[str | Path], list[Record]] = jsonl.load
    splits: tuple[str, ...] = ("train", "validation", "test")
    tests: tuple[str, ...] = ("test",)
    styles: tuple[str, ...] = ("expert",)
    rubric: Rubric | None = None
    prepare: Callable[[list[Record]], list[Record]] = _as_they_are
    details: Callable[[str, Record], dict[str, Any]] = _nothing
    metrics: Callable[[Sequence[dict[str, Any]]], dict[str, Any]] = _nothing
    invent: Callable[[int, str, Random], dict[str, Any]] | None = None

    @property
    def judged(self) -> bool:
        """Whether the paper has a language model decide what is right."""
        return self.rubric is not None
