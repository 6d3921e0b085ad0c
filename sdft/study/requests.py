"""What a job asks of a cluster: minutes by its forecast, memory by its model's size, and when it is told to stop."""

from __future__ import annotations

import math
import os
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

from sdft.common.errors import SdftError
from sdft.methods import find_method
from sdft.models.memory import BYTES, checkpoint_gib
from sdft.models.size import ModelSize
from sdft.study.forecast import Job, every_job, fit, job_start, model_size, setting_of, trainings
from sdft.study.plan import Plan, RunSpec

# A forecast is good to a factor; a job that is longer all the same continues (sdft/common/stop.py).
MARGIN = 1.5
SHORTEST = 60
# Seconds of a decoded token, and bytes a second of a shared file system, on the slow side.
TOKEN_SECONDS, BYTES_A_SECOND = 0.04, 0.5e9
# Seconds before the end at which a job is told at the latest.
LEAST_STOP = 60
# The file in a run's folder state/ with a line for each stop that SLURM did not follow by a new start.
STOPS = "stops"
# MB that a process takes beside weights and states: libraries, buffers, the two Snakemakes around it.
PROCESS = 8_000
# Where no GPU is used, models are small.
SMALL = 6_000


@cache
def known_jobs(plan: Plan) -> list[Job]:
    """Every job with a device, as forecast when this process first asked: requests of one start fit together.

    A study that is switched off has its trainings here too, since one of them may be asked for by name.
    """
    found = every_job(plan)
    known = {job.output for job in found}
    others = [job for study in plan.scale.possible for job in trainings(plan, study) if job.output not in known]
    fits = {kind: fit(kind, [], setting_of(plan)) for kind in {job.kind for job in others}}
    return [
        *found,
        *(replace(job, forecast=fits[job.kind].start + fits[job.kind].per_unit * job.units) for job in others),
    ]


@cache
def forecasts(plan: Plan) -> dict[str, float]:
    """Forecast seconds by output of every job with a device."""
    return {job.output: job.forecast for job in known_jobs(plan)}


def minutes(plan: Plan, output: str, attempt: int = 1) -> int:
    """The time limit of the job that makes `output`: at least 1.5 times its forecast.

    SDFT_SLURM_MAX_MINUTES is the longest that the site allows.
    """
    asked = SHORTEST
    if plan.scale.gpus:
        asked = max(SHORTEST, math.ceil(MARGIN * (forecasts(plan).get(output, 0.0) + job_start(plan)) / 60))
    return _bounded(asked * attempt, "SDFT_SLURM_MAX_MINUTES")


def checkpoint_bytes(run: RunSpec, size: ModelSize) -> float:
    """Bytes of a checkpoint of a run."""
    averages = find_method(run.method).averages and run.settings.teacher == "ema"
    return checkpoint_gib(size, run.settings, averages) * 2**30


def stop_seconds(run: RunSpec, size: ModelSize | None) -> int:
    """How long before its end a training must be told: it finishes its step, and writes a checkpoint."""
    if size is None:
        return LEAST_STOP
    written = checkpoint_bytes(run, size) / BYTES_A_SECOND
    return math.ceil(LEAST_STOP + run.settings.max_new_tokens * TOKEN_SECONDS + written)


def training_memory(plan: Plan, run: RunSpec, attempt: int = 1) -> int:
    """MB of a training's host memory: a checkpoint that is read, each process's weights, and the weights of the start.

    Stops at the time limit are no reason for more. SDFT_SLURM_MAX_MEMORY is what the largest node gives a job.
    """
    processes, size = max(1, plan.scale.training_gpus(run.base)), model_size(plan, run.base)
    attempt = failures(plan.run_folder(run), attempt)
    if not plan.scale.gpus or size is None:
        return SMALL * processes * attempt
    weights = size.parameters * BYTES[run.settings.weights_dtype]
    needed = (checkpoint_bytes(run, size) + (1 + processes) * weights) / 1e6 + PROCESS * processes
    return _grown(needed, attempt)


def measuring_memory(plan: Plan, model: str | None, attempt: int = 1) -> int:
    """MB of host memory of a job that measures a model: its files as they are read, twice."""
    size = model_size(plan, model) if model else None
    if not plan.scale.gpus or size is None:
        return SMALL * attempt if not plan.scale.gpus else _grown(10 * PROCESS, attempt)
    return _grown(2 * size.parameters * 4 / 1e6 + 2 * PROCESS, attempt)


def failures(folder: str | Path, attempt: int) -> int:
    """The number of an attempt without those before it that only ran out of time."""
    stops = Path(folder) / "state" / STOPS
    return max(1, attempt - (len(stops.read_text().splitlines()) if stops.is_file() else 0))


def _grown(megabytes: float, attempt: int) -> int:
    """Half as much again for each attempt that failed."""
    return _bounded(math.ceil(megabytes / 1000 * (1 + (attempt - 1) / 2)) * 1000, "SDFT_SLURM_MAX_MEMORY")


def _bounded(asked: int, variable: str) -> int:
    """What is asked for, or what the variable allows where that is less.

    Raises SdftError where the variable is set to anything but a number.
    """
    most = os.environ.get(variable, "").strip()
    if not most:
        return asked
    if not re.fullmatch("0*[1-9][0-9]{0,11}", most):
        unit = "minutes" if variable.endswith("MINUTES") else "MB"
        raise SdftError(
            f"the environment variable {variable} is {most!r}; set it to a positive whole number of {unit}, in digits "
            "alone, such as 1440, or unset it (slurm/README.md)."
        )
    return min(asked, int(most))
