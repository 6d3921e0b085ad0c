"""The tasks, one file each: how its rows are read, its responses scored, and the task shown.

A file in this folder that defines TASK is a task, and its name is the task's identifier: nothing else lists them.
sdft/tasks/base.py shows how to add one. `define` adds one to this process alone.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from functools import cache
from importlib import import_module
from pathlib import Path

from sdft.common.errors import SdftError, did_you_mean
from sdft.records import jsonl
from sdft.records.record import Record
from sdft.tasks.base import Task
from sdft.tasks.benchmarks import BENCHMARKS

# Modules of this folder that are no task.
SHARED = ("base", "benchmarks", "scorers")
# Folders beside a task's data, and files beside its scores, have these names.
TAKEN = ("general", "benchmarks", *BENCHMARKS)
# Tasks without a file, by name.
DEFINED: dict[str, Task] = {}


@cache
def task_names() -> tuple[str, ...]:
    """Identifiers of all tasks, in alphabetical order. Raises SdftError for a file whose name cannot be one."""
    found = [module.name for module in pkgutil.iter_modules(__path__) if module.name not in SHARED]
    names = sorted({*found, *DEFINED})
    for name in names:
        if not re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or name in TAKEN:
            raise SdftError(
                f"sdft/tasks/{name}.py: {name!r} cannot name a task, since it becomes part of paths; use lower case, "
                f"digits and single '_', and none of {', '.join(TAKEN)}."
            )
    return tuple(names)


@cache
def find_task(name: str) -> Task:
    """The task of that name. Raises SdftError where no file has it, or its file defines no TASK."""
    if name in DEFINED:
        return DEFINED[name]
    if name not in task_names():
        hint = did_you_mean(name, task_names())
        raise SdftError(
            f"there is no task {name!r}; {hint} To have it, add sdft/tasks/{name}.py, as sdft/tasks/base.py shows."
        )
    task = getattr(import_module(f"sdft.tasks.{name}"), "TASK", None)
    if not isinstance(task, Task):
        raise SdftError(f"sdft/tasks/{name}.py must define TASK, a sdft.tasks.base.Task.")
    return task


def define(name: str, task: Task) -> None:
    """Add a task that has no file, for as long as this process lives. Raises SdftError for a name that cannot be one,
    or that a file has."""
    if name in task_names() and name not in DEFINED:
        raise SdftError(f"sdft/tasks/{name}.py is a task already; name yours otherwise.")
    DEFINED[name] = task
    for known in (task_names, find_task, results):
        known.cache_clear()
    try:
        task_names()
    except SdftError:
        del DEFINED[name]
        raise


def sources(name: str) -> tuple[list[str], list[Path]]:
    """The modules of this package and the files beside it that decide how a task is scored."""
    if name not in DEFINED:
        return [f"sdft.tasks.{name}"], []
    score = inspect.unwrap(DEFINED[name].score)
    if score.__module__.startswith("sdft."):
        return [score.__module__], []
    file = inspect.getsourcefile(score)
    return [], [Path(file)] if file else []


def tested(name: str) -> dict[str, str]:
    """The splits on which a task is measured, by the name of the result: the task's, then {task}_{split}."""
    first, *others = find_task(name).tests
    return {name: first} | {f"{name}_{split}": split for split in others}


@cache
def results() -> dict[str, tuple[str, str]]:
    """Task and split by the name of the result, of all tasks."""
    return {result: (name, split) for name in task_names() for result, split in tested(name).items()}


def read_task(task: str, path: str | Path) -> list[Record]:
    """Records of a task from any supported file: a .jsonl file, or one of the task's own official files.

    Raises SdftError when the path does not exist, when there is no such task, or it has no official files.
    """
    path = Path(path)
    return jsonl.load(path) if path.suffix == ".jsonl" else find_task(task).load(path)


def score_record(task: str, response: str, record: Record) -> float:
    """Score of a response to a record of `task`: 1.0 for a right answer, else 0.0, by the task's headline rule.

    Raises SdftError for an unknown task and for a record without a gold answer.
    """
    own = find_task(task)
    if record.answer is None:
        raise SdftError(f"record {record.id!r} has no gold answer, so it cannot be scored; use a split with answers.")
    return own.score(response, record)
