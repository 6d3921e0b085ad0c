"""What work is assumed to cost where nothing was measured yet: `assumptions.yaml`, for each kind of machine."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from sdft.methods import find_method
from sdft.study.plan import Plan
from sdft.study.values import read_yaml

FILE = Path(__file__).with_name("assumptions.yaml")


@cache
def assumptions() -> dict[str, Any]:
    """`assumptions.yaml` as it is written. Do not change the returned value."""
    return read_yaml(FILE)


def setting_of(plan: Plan) -> str:
    """Which assumptions hold for a scale: on GPUs, in the miniature world, or with models of random weights."""
    if plan.scale.gpus:
        return "gpu"
    return "random" if plan.scale.models.source == "random" else "miniature"


def job_start(plan: Plan) -> float:
    """Seconds of a job before its own clock starts: scheduling, the process, the first imports."""
    return assumptions()[setting_of(plan)]["job"]


def by_phases(setting: str) -> bool:
    """Whether trainings are forecast phase by phase."""
    return "phases" in assumptions()[setting]


def training_costs(assumed: dict[str, Any], method: str) -> dict[str, float]:
    """What a method's training is assumed to cost: its own numbers, those of the class that it derives from, or those
    of SDFT or SFT, by whether it samples."""
    found = find_method(method)
    parents = [parent.__module__.rsplit(".", 1)[-1] for parent in found.__mro__]
    usual = "sft" if found.sampling is None else "sdft"
    return next(assumed["training"][name] for name in (*parents, usual) if name in assumed["training"])
