"""Sums over jobs: device-hours, wall-clock on so many devices, and the bound of the configuration."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Sequence
from dataclasses import replace

from sdft.common.errors import SdftError
from sdft.study.forecast.assumptions import setting_of
from sdft.study.forecast.fits import fit, forecast
from sdft.study.forecast.jobs import Job, jobs, trainings
from sdft.study.plan import Plan


def device_hours(found: Sequence[Job]) -> float:
    """Forecast of what is still to be done."""
    return sum(job.forecast * job.share * job.devices for job in found if not job.done) / 3600


def every_job(plan: Plan) -> list[Job]:
    """The forecast of every job with a device that the scale can have."""
    everything = jobs(plan, "all")
    targets = ("all", "released_checkpoints") if plan.scale.released else ("all",)
    return [job for target in targets for job in forecast(plan, target, everything)[0]]


def hours_of(plan: Plan, outputs: Collection[str], found: Sequence[Job] | None = None) -> float:
    """Device-hours of the jobs that make these outputs, also of those that are there and are made again.

    None of them counts with `partial`, where no rule makes a result. found: `every_job`, where that is known.
    """
    if plan.config.partial:
        return 0.0
    known = {job.output: job for job in found or every_job(plan)}
    return device_hours([replace(job, done=False) for output, job in known.items() if output in outputs])


def study_hours(plan: Plan, study: str) -> float:
    """Device-hours of what only a study trains and scores, whether it is switched on or off."""
    found = trainings(plan, study)
    fits = {kind: fit(kind, [], setting_of(plan)) for kind in {job.kind for job in found}}
    forecasts = [replace(job, forecast=fits[job.kind].start + fits[job.kind].per_unit * job.units) for job in found]
    return device_hours(forecasts)


def check_budget(plan: Plan, hours: float) -> None:
    """Raise SdftError when a forecast exceeds the configured bound, with what can be done about it at this scale."""
    bound = plan.config.budget.device_hours
    if bound is None or hours <= bound:
        return
    grids = any(arm.grid and len(plan.hyperparameters(name)) > 1 for name, arm in plan.scale.every_arm())
    ways = {
        "sweep: halving": plan.config.sweep == "full" and grids,
        "sweep: published": plan.config.sweep == "full" and plan.scale.published_recipe is not None,
        "shorter grids": grids,
        "fewer seeds": len(plan.seeds) > 1,
        "fewer tasks": len(plan.tasks) > 1,
    }
    less = ", ".join(way for way, possible in ways.items() if possible)
    raise SdftError(
        f"the forecast of {hours:.1f} device-hours at scale {plan.name} exceeds budget.device_hours: {bound:g}; raise "
        f"that key in config.yaml{f', or do less ({less})' if less else ''}."
    )


def devices(plan: Plan) -> int:
    """Jobs that work at a time: as many as the budget has GPUs, or processors where the scale uses no GPU."""
    return plan.config.budget.gpus if plan.scale.gpus else plan.config.budget.cores


def makespan(found: Sequence[Job], devices: int, start: float = 0.0) -> float:
    """Seconds until the last job ends with so many devices: free ones take the next job whose needs are met.

    start: seconds that every job takes beside its forecast (`job_start`). A job that needs more devices than there are
    is counted as if these sufficed.
    """
    ends = {job.output: 0.0 for job in found if job.done}
    waiting = [job for job in found if not job.done]
    free = [0.0] * devices
    heapq.heapify(free)
    while waiting:
        ready = [
            (max((ends.get(need, 0.0) for need in job.needs), default=0.0), number)
            for number, job in enumerate(waiting)
            if all(need in ends for need in job.needs)
        ]
        at, number = min(ready)
        job = waiting.pop(number)
        taken = [heapq.heappop(free) for _ in range(min(job.devices, devices))]
        ends[job.output] = max(*taken, at) + start + job.forecast * job.share
        for _ in taken:
            heapq.heappush(free, ends[job.output])
    return max(ends.values(), default=0.0)
