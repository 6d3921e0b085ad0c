"""The records that a measure is taken on, with what they are asked in context."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sdft.records.prompts import teacher_messages
from sdft.records.record import Record
from sdft.tasks import find_task, read_task

# The style of demonstration that is a text about the subject rather than a response.
ARTICLE = "article"


def read_items(
    task: str, path: str | Path, limit: int | None = None, context: str | None = None, template: str = "official"
) -> list[Record]:
    """The first `limit` records of a task's file, each asked in `context` (see `in_context`).

    Raises SdftError for an unknown task, a missing or damaged file, and a record without what the context needs.
    """
    # Before the limit, since a task may look at all answers of the file to know a wrong one.
    records = find_task(task).prepare(read_task(task, path))
    return [in_context(record, context, template) for record in records[:limit]]


def in_context(record: Record, style: str | None, template: str = "official") -> Record:
    """The record with its own demonstration of `style` in the prompt; None leaves it as it is.

    A demonstration comes through the teacher's template, so that accuracy on such prompts is the teacher's (Figure 2,
    Figure 5's in-context learning). The style "article" is no demonstration: it stands ahead of the question, as an
    oracle retriever would put it (Table 1). Raises SdftError when the record has none of that style.
    """
    if style is None:
        return record
    text = record.demonstration(style)
    if style == ARTICLE:
        *before, last = record.prompt
        return replace(record, prompt=[*before, {**last, "content": f"{text}\n\n{last['content']}"}])
    return replace(record, prompt=teacher_messages(record.prompt, text, template))
