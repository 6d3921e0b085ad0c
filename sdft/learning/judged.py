"""A candidate's validation by the judge that also decides Table 5's answers, from the replies that were kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdft.evaluate.judge import judge_all, match, rubric
from sdft.learning.validation import read_replies
from sdft.records.record import Record
from sdft.study.schema import Judge


def judged(record: Mapping[str, Any], replies: Path, task: str, records: list[Record], judge: Judge) -> dict[str, Any]:
    """The candidate `record` (its validation.json) with the share of answers that the judge calls correct.

    That of the offline scorer goes to "offline". Each verdict is kept on disk (`Judge.cache`), so nothing is asked
    twice. A diverged candidate has no replies and stays as it is. Raises SdftError where the replies are of other
    questions, and as `sdft.evaluate.judge.judge_all` does.
    """
    if record.get("diverged") is not None:
        return dict(record)
    kept = read_replies(replies, records)["validation"]
    verdicts = judge_all(task, match(task, kept["responses"], records, replies), judge)[judge.model]
    right = sum(verdict["label"] == rubric(task).labels[0] for verdict in verdicts)
    validation = {"value": right / len(verdicts), "n": len(verdicts)}
    return {**record, "validation": validation, "offline": record["validation"]["value"]}
