"""Disk that a target takes."""

from __future__ import annotations

from sdft.methods import find_method
from sdft.models.memory import BYTES, GIB, checkpoint_gib
from sdft.study.forecast.jobs import jobs
from sdft.study.forecast.sizes import model_size
from sdft.study.plan import Plan

# Two are kept while a third is written.
CHECKPOINTS = 3


def disk(plan: Plan, devices: int, target: str = "table5") -> dict[str, float] | None:
    """GiB of base models, final weights with those kept along the way, and the checkpoints of runs under way.

    None for models of unknown size.
    """
    found = jobs(plan, target)
    sizes = {name: model_size(plan, name) for name in dict.fromkeys(job.model for job in found)}
    if not sizes or None in sizes.values():
        return None
    room = {
        "base models": sum(2 * size.parameters for size in sizes.values()) / GIB,
        "final weights": 0.0,
        "checkpoints under way": 0.0,
    }
    outputs = {job.output: job for job in found}
    for run in plan.runs():
        job = outputs.get(plan.model_path(run))
        if job is None:
            continue
        kept = max(1, run.settings.snapshots)
        room["final weights"] += kept * sizes[run.base].parameters * BYTES[run.settings.weights_dtype] / GIB
        averages = find_method(run.method).averages and run.settings.teacher == "ema"
        checkpoint = CHECKPOINTS * checkpoint_gib(sizes[run.base], run.settings, averages)
        # A candidate's weights are there until it is scored.
        weights = sizes[run.base].parameters * BYTES[run.settings.weights_dtype] / GIB
        under_way = max(1, devices // job.devices)
        room["checkpoints under way"] = max(room["checkpoints under way"], under_way * (checkpoint + weights))
    return room
