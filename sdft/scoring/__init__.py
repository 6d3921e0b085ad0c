"""Pure scorers, one module a task: a response and a gold answer in, right or wrong out. No model, no network."""

from __future__ import annotations

from typing import Any

from sdft.errors import SdftError, did_you_mean
from sdft.scoring import knowledge, medical, science, tooluse

SCORERS = {
    "science": science.score,
    "tooluse": tooluse.score,
    "medical": medical.score,
    "knowledge": knowledge.score,
}


def score_record(task: str, response: str, record: Any) -> float:
    """Score of a response to a `Record` of `task`: 1.0 for a right answer, else 0.0, by the task's headline rule.

    Raises SdftError for an unknown task and for a record without a gold answer.
    """
    if task not in SCORERS:
        raise SdftError(f"there is no scorer for the task {task!r}; {did_you_mean(task, SCORERS)}")
    if record.answer is None:
        raise SdftError(f"record {record.id!r} has no gold answer, so it cannot be scored; use a split with answers.")
    if task == "knowledge":
        return float(knowledge.score(response, record.answer, record.meta.get("rivals", ())))
    return float(SCORERS[task](response, record.answer))
