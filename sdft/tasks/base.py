"""What every task declares, so that nothing else has to know tasks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sdft.records.record import Record


@dataclass(frozen=True)
class Task:
    """One new task that a model learns.

    title: what tables call it. look: colour, marker and line style in figures. load: records of one of the task's own
    files, whose schema it checks. score: 1.0 for a right response to a record, else 0.0; its headline rule. splits:
    the files of the task's data, in their order. tests: those on which a trained model is measured; the first gives
    the metric new_task. judged: whether the paper has a language model decide what is right.
    """

    title: str
    look: tuple[str, str, str]
    load: Callable[[str | Path], list[Record]]
    score: Callable[[str, Record], float]
    splits: tuple[str, ...] = ("train", "validation", "test")
    tests: tuple[str, ...] = ("test",)
    judged: bool = False
