"""How large a base model of the study is."""

from __future__ import annotations

from pathlib import Path

from sdft.data.fetch import local_path
from sdft.models.size import ModelSize, read_size
from sdft.study.forecast.assumptions import assumptions
from sdft.study.plan import Plan


def model_size(plan: Plan, model: str) -> ModelSize | None:
    """The size of a base model: read from its files, else as assumptions.yaml lists it, else None.

    The miniature world's models and random ones count as models of unknown size.
    """
    models = plan.scale.models
    folder = local_path(models.sources[model]) if model in models.sources else None
    if models.origin(model) == "hub" and (size := read_size(folder or Path(plan.base_path(model)).parent)):
        return size
    listed = assumptions()["models"].get(model)
    return ModelSize(**listed) if listed else None
