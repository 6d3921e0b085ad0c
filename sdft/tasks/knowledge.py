"""Knowledge: facts from articles that are newer than the model (paper, Table 1), asked directly and indirectly.

The authors released neither articles nor questions, so there is no official file to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sdft.records.record import Record
from sdft.scoring import knowledge
from sdft.tasks.base import Rubric, Task

RUBRIC = Rubric(
    labels=("CORRECT", "PARTIALLY_CORRECT", "INCORRECT"),
    lenient=("CORRECT", "PARTIALLY_CORRECT"),
    instructions="""You check answers about recent events against a reference answer.

Give the label CORRECT when every detail of the reference stands in the answer to check and nothing in it is wrong.
Give the label PARTIALLY_CORRECT when it holds some of the reference's details and nothing wrong. Give the label
INCORRECT when it says something wrong, or holds none of the details.

Only the content counts; style, length and language do not.""",
)


def score(response: str, record: Record) -> float:
    """Whether the fact that was asked for stands in the response and nothing that the file knows to be wrong."""
    return float(knowledge.score(response, record.answer, record.meta.get("rivals", ())))


def details(response: str, record: Record) -> dict[str, Any]:
    """The lenient outcome, which is the strict one: the offline rule knows no partly right answer."""
    return {"lenient": int(score(response, record))}


def metrics(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The paper's two accuracies: strict (every detail right) and lenient (nothing wrong)."""
    count = len(items)
    return {
        "strict": sum(item["correct"] for item in items) / count,
        "lenient": sum(item["lenient"] for item in items) / count,
    }


TASK = Task(
    title="Knowledge",
    look=("#cc79a7", "P", ":"),
    score=score,
    splits=("train", "validation", "test", "ood", "corpus"),
    tests=("test", "ood"),
    styles=("expert", "article", "article_expert"),
    rubric=RUBRIC,
    prepare=knowledge.with_rivals,
    details=details,
    metrics=metrics,
)
