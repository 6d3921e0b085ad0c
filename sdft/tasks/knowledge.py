"""Knowledge: facts from articles that are newer than the model (paper, Table 1), asked directly and indirectly."""

from __future__ import annotations

from pathlib import Path

from sdft.common.errors import SdftError
from sdft.records.record import Record
from sdft.scoring import knowledge
from sdft.tasks.base import Task


def load(path: str | Path) -> list[Record]:
    """There is no official file: the authors released neither articles nor questions. Raises SdftError."""
    raise SdftError(f"{path}: the task 'knowledge' has no official files; give a records file (.jsonl).")


def score(response: str, record: Record) -> float:
    """Whether the fact that was asked for stands in the response and nothing that the file knows to be wrong."""
    return float(knowledge.score(response, record.answer, record.meta.get("rivals", ())))


TASK = Task(
    title="Knowledge",
    look=("#cc79a7", "P", ":"),
    load=load,
    score=score,
    splits=("train", "validation", "test", "ood", "corpus"),
    tests=("test", "ood"),
    judged=True,
)
