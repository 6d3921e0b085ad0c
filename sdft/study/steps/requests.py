"""What the jobs of the rules ask of a cluster, by their wildcards."""

from __future__ import annotations

from sdft.study import requests
from sdft.study.forecast import model_size
from sdft.study.plan import Plan


def training_minutes(plan: Plan, run: str, attempt: int = 1, **_: str) -> int:
    """The time limit of a training; a candidate's holds its scoring too."""
    found = plan.find(run)
    output = plan.validation_path(found) if found.study == "sweep" else plan.model_path(found)
    return requests.minutes(plan, output, attempt)


def training_memory(plan: Plan, run: str, attempt: int = 1, **_: str) -> int:
    """MB of a training."""
    return requests.training_memory(plan, plan.find(run), attempt)


def candidate_memory(plan: Plan, run: str, attempt: int = 1, **_: str) -> int:
    """MB of the job that scores a candidate, and trains it where it needs one GPU."""
    apart = plan.scale.training_gpus(plan.find(run).base) > 1
    return (memory if apart else training_memory)(plan, run=run, attempt=attempt)


def training_signal(plan: Plan, run: str, attempt: int = 1, **_: str) -> str:
    """The option with which sbatch tells a training in time that it has to stop."""
    found = plan.find(run)
    return f"--signal=TERM@{requests.stop_seconds(found, model_size(plan, found.base))}"


def minutes(plan: Plan, path: str, attempt: int = 1, **wildcards: str) -> int:
    """The time limit of the job that makes a file; path: its template."""
    return requests.minutes(plan, plan.path(path, **{"scored": "scores"} | wildcards), attempt)


def memory(plan: Plan, run: str | None = None, model: str | None = None, attempt: int = 1, **_: str) -> int:
    """MB of a job that measures a run or a base model."""
    return requests.measuring_memory(plan, plan.find(run).base if run else model, attempt)


def signal(plan: Plan, **_: str) -> str:
    """The option with which sbatch tells a measuring job that it has to stop: it keeps what it has as it goes."""
    return f"--signal=TERM@{requests.LEAST_STOP}"
