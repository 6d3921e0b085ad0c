"""How many of a few rows teacher and student answer rightly while they train (asked for in lasgroup/SDPO#28)."""

from __future__ import annotations

from typing import Any

from sdft.evaluate.answers import evaluate_task
from sdft.evaluate.questions import in_context
from sdft.evaluate.responses import Decoding
from sdft.learning.snapshots import snapshot_steps
from sdft.methods.settings import TrainingSettings
from sdft.records.record import Record
from sdft.tasks import find_task

# Parts of a run, where it keeps no snapshots.
PARTS = 10
ROWS_AT_A_TIME = 32


class Probe:
    """The first rows that a run trains on, answered greedily at some of its steps.

    The teacher is shown each row's demonstration. Nothing is drawn at random, so the training goes on as without it.
    """

    def __init__(self, records: list[Record], task: str, style: str, settings: TrainingSettings, steps: int) -> None:
        rows = [record for record in records if style in record.demonstrations and record.answer is not None]
        self.rows = find_task(task).prepare(rows)[: settings.probe_rows] if settings.probe_rows else []
        self.task = task
        self.shown = [in_context(record, style, settings.teacher_template) for record in self.rows]
        self.steps = {1, *snapshot_steps(steps, settings.snapshots or PARTS), steps}
        self.decoding = Decoding(max_new_tokens=settings.max_new_tokens, batch_size=ROWS_AT_A_TIME)

    def measure(self, step: int, tokenizer: Any, student: Any, teacher: Any) -> dict[str, float]:
        """Accuracies after a step, as fractions; nothing where none are due. teacher: None for methods without one."""
        if not self.rows or step not in self.steps:
            return {}
        found = {"student_accuracy": self._accuracy(student, tokenizer, self.rows)}
        if teacher is not None:
            found["teacher_accuracy"] = self._accuracy(teacher, tokenizer, self.shown)
        return found

    def _accuracy(self, model: Any, tokenizer: Any, rows: list[Record]) -> float:
        return evaluate_task(model, tokenizer, self.task, rows, self.decoding).value
