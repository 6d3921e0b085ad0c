"""lm_eval's definitions of tasks, read as YAML: which tasks a folder has, and which metrics a task names.

lm_eval itself takes seconds to import and reads all of its 14,000 files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Definition:
    """A task or a group of tasks. metrics, filters: those that its file names; none where it does not say.

    data: the repository of its data set. shots: the examples that it always shows ahead of a question; None where the
    protocol decides. same_split: whether examples come from the split that is asked about. parts: of a group.
    """

    name: str
    metrics: list[str]
    filters: list[str]
    data: str | None = None
    shots: int | None = None
    same_split: bool = True
    parts: tuple[str, ...] = ()


# libyaml reads ten times as fast.
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Reads the tag for Python functions as nothing."""


_Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


def own_folder() -> Path | None:
    """The folder of lm_eval's own tasks; None where lm_eval is not installed."""
    found = find_spec("lm_eval")
    return Path(found.origin).parent / "tasks" if found and found.origin else None


@cache
def definition(folder: Path, name: str, kinds: str = "task|group") -> Definition | None:
    """The definition of a task or group; None where no file of the folder has it. kinds: keys that hold the name."""
    # A task's folder mostly has the first part of its name; only else are all files looked through.
    for place in (folder / name.partition("_")[0], folder):
        stated = re.compile(rf"""^['"]?({kinds})['"]?:\s*['"]?{re.escape(name)}['"]?\s*$""", re.MULTILINE)
        for path in sorted(place.rglob("*.yaml")):
            if stated.search(path.read_text(encoding="utf-8")):
                return _read(path, name)
    return None


def first_task(folder: Path, name: str, kinds: str = "task|group") -> Definition | None:
    """The definition of a task, or of the first task of a group; None where no file has it. A group may name tags."""
    found = definition(folder, name, kinds)
    return first_task(folder, found.parts[0], "task|group|tag") if found and found.parts else found


def names(folder: Path) -> list[str]:
    """The names of all tasks and groups of a folder."""
    stated = re.compile(r"""^['"]?(?:task|group)['"]?:\s*['"]?([\w.-]+)['"]?\s*$""", re.MULTILINE)
    found = {name for path in folder.rglob("*.yaml") for name in stated.findall(path.read_text(encoding="utf-8"))}
    return sorted(found)


def _read(path: Path, name: str) -> Definition:
    values = _with_includes(path)
    listed = values.get("metric_list") or values.get("aggregate_metric_list") or []
    metrics = [entry.get("metric") for entry in listed]
    # A metric that is a function has the function's name, which stands in the code.
    known = metrics if all(isinstance(metric, str) for metric in metrics) else []
    listed = values.get("task") if isinstance(values.get("task"), list) else []
    return Definition(
        name,
        known,
        filters=[entry["name"] for entry in values.get("filter_list") or []],
        data=values.get("dataset_path"),
        shots=values.get("num_fewshot"),
        same_split=values.get("fewshot_split") == values.get("test_split"),
        parts=tuple(
            name for part in listed if isinstance(name := part.get("task") if isinstance(part, dict) else part, str)
        ),
    )


def _with_includes(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    base = values.get("include")
    return {**(_with_includes(path.parent / base) if isinstance(base, str) else {}), **values}
