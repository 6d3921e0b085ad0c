"""The tasks, one file each: how its rows are read, its responses scored, and the task shown.

A file in this folder that defines TASK is a task, and its name is the task's identifier: nothing else lists them.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path

from sdft.common.errors import SdftError, did_you_mean
from sdft.records.record import Record, read_records
from sdft.tasks.base import Task

# Modules of this folder that are no task.
SHARED = ("base", "names")


@cache
def task_names() -> tuple[str, ...]:
    """Identifiers of all tasks, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in SHARED))


@cache
def find_task(name: str) -> Task:
    """The task of that name. Raises SdftError where no file has it, or its file defines no TASK."""
    if name not in task_names():
        raise SdftError(f"there is no task {name!r}; {did_you_mean(name, task_names())}")
    task = getattr(import_module(f"sdft.tasks.{name}"), "TASK", None)
    if not isinstance(task, Task):
        raise SdftError(f"sdft/tasks/{name}.py must define TASK, a sdft.tasks.base.Task.")
    return task


def load(task: str, path: str | Path) -> list[Record]:
    """Records of a task from any supported file: records (.jsonl), or one of the task's own official files.

    Raises SdftError when the path does not exist, when there is no such task, or it has no official files.
    """
    path = Path(path)
    return read_records(path) if path.suffix == ".jsonl" else find_task(task).load(path)


def score_record(task: str, response: str, record: Record) -> float:
    """Score of a response to a record of `task`: 1.0 for a right answer, else 0.0, by the task's headline rule.

    Raises SdftError for an unknown task and for a record without a gold answer.
    """
    own = find_task(task)
    if record.answer is None:
        raise SdftError(f"record {record.id!r} has no gold answer, so it cannot be scored; use a split with answers.")
    return own.score(response, record)
