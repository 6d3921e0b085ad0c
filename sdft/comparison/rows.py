"""A user's rows: read, checked by file and line before anything is trained, and split where there is no test file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError, no_file
from sdft.data.splits import prompt_key, ranked
from sdft.records.jsonl import COMPLETION, load_numbered, refuse
from sdft.records.record import Record
from sdft.tasks.base import Task

# The name of a user's task: of its folder of rows, and of its results.
TASK = "own"
# What supervised methods imitate, and what a teacher is shown.
IMITATED, DEMONSTRATED = "completion", "demonstration"
# Of the training rows, what is left out for scoring where there is no test file, and for choosing a learning rate.
TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1
Numbered = list[tuple[int, Record]]


@dataclass(frozen=True)
class Rows:
    """train, validation (empty where nothing is chosen) and test, with notes on what was done to them."""

    train: list[Record]
    validation: list[Record]
    test: list[Record]
    notes: list[str]


def read_rows(train: str, test: str | None, task: Task, choosing: bool) -> Rows:
    """The rows of a comparison. choosing: whether held-out rows choose a learning rate.

    Every row to train on gets the styles IMITATED and DEMONSTRATED, which are one text where the row has only one. A
    row without `answer` is scored against its completion. Raises SdftError naming file and line of a row that cannot be
    used, and for files that leave too few rows.
    """
    notes: list[str] = []
    rows = [(number, _both_styles(train, number, record)) for number, record in load_numbered(train)]
    if test is None:
        kept, left_out = _parted(rows, TEST_SHARE)
        notes.append(f"no test file: {len(left_out)} of {len(rows)} rows are scored on and not trained on")
        rows, tested, source = kept, left_out, train
    else:
        tested, source = load_numbered(test), test
    scored = [_scored(source, number, record, task) for number, record in tested]
    rows, repeated = _without(rows, scored)
    if repeated:
        notes.append(f"{repeated} rows of {train} have the prompt of a test row and are not trained on")
    validation: Numbered = []
    if choosing:
        rows, validation = _parted(rows, VALIDATION_SHARE)
        notes.append(f"{len(validation)} rows choose the learning rates and are not trained on")
    if not rows or not scored:
        raise SdftError(
            f"{train} leaves {len(rows)} rows to train on and {len(scored)} to score on; give it more rows, or another "
            "file with --test."
        )
    chosen = [_scored(train, number, record, task) for number, record in validation]
    return Rows([record for _, record in rows], chosen, scored, notes)


def _both_styles(path: str, number: int, record: Record) -> Record:
    found = dict(record.demonstrations)
    imitated = found.pop(COMPLETION, None)
    shown = found.get(DEMONSTRATED) or next(iter(found.values()), None)
    if imitated is None and shown is None:
        raise refuse(path, number, "the row has no completion to train on (completion, demonstration, or messages)")
    return replace(record, demonstrations={IMITATED: imitated or shown, DEMONSTRATED: shown or imitated})


def _scored(path: str, number: int, record: Record, task: Task) -> Record:
    """A row with the answer that it is scored against, tried with the scorer."""
    if record.answer is None:
        texts = record.demonstrations
        answer = texts.get(IMITATED) or next(iter(texts.values()), None)
        if answer is None:
            raise refuse(path, number, "the row has neither 'answer' nor a completion to be scored against")
        record = replace(record, answer=answer)
    try:
        task.score("", record)
    except Exception as error:
        said = str(error).rstrip(".") or type(error).__name__
        raise refuse(path, number, f"the scorer cannot score this row ({said}); --scorer names another one") from None
    return record


def _parted(rows: Numbered, share: float) -> tuple[Numbered, Numbered]:
    """Rows without and with a share of them, drawn by a hash of their prompts, equal prompts together."""
    prompts = {prompt_key(record) for _, record in rows}
    drawn = set(ranked(sorted(prompts), 0)[: max(1, round(share * len(prompts)))])
    part: dict[bool, Any] = {True: [], False: []}
    for row in rows:
        part[prompt_key(row[1]) in drawn].append(row)
    return part[False], part[True]


def _without(rows: Numbered, tested: list[Record]) -> tuple[Numbered, int]:
    known = {prompt_key(record) for record in tested}
    kept = [row for row in rows if prompt_key(row[1]) not in known]
    return kept, len(rows) - len(kept)


def read_prompts(path: str) -> list[Record]:
    """Prompts of no task, from a .jsonl file whose further fields do not count."""
    if not Path(path).is_file():
        raise SdftError(f"{no_file(path)}; --prompts needs a .jsonl file with a prompt a line.")
    return [Record(record.id, record.prompt) for _, record in load_numbered(path)]
