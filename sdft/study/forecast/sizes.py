"""How large a base model of the study is."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from sdft.data.fetch import local_path
from sdft.models.size import ModelSize, read_size
from sdft.study.forecast.assumptions import assumptions
from sdft.study.plan import Plan

# Sizes that were read, by folder and what its config.json was then: a forecast asks for some models thousands of times.
_READ: dict[tuple[str, int, int], ModelSize] = {}


def model_size(plan: Plan, model: str) -> ModelSize | None:
    """The size of a base model: read from its files, else as assumptions.yaml lists it, else None.

    The miniature world's models and random ones count as models of unknown size.
    """
    models = plan.scale.models
    if models.origin(model) == "hub":
        local = local_path(models.sources[model]) if model in models.sources else None
        if size := _size(str(local or _downloaded(plan, model))):
            return size
    listed = assumptions()["models"].get(model)
    return ModelSize(**listed) if listed else None


@cache
def _downloaded(plan: Plan, model: str) -> Path:
    return Path(plan.base_path(model)).parent


def _size(folder: str) -> ModelSize | None:
    try:
        found = os.stat(f"{folder}/config.json")
    except OSError:
        return None
    state = (os.path.abspath(folder), found.st_mtime_ns, found.st_size)
    if state not in _READ and (size := read_size(folder)):
        _READ[state] = size
    return _READ.get(state)
