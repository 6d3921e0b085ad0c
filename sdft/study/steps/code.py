"""The code that decides a run's weights, a candidate's score and a measure."""

from __future__ import annotations

from sdft.study import rerun
from sdft.study.plan import Plan


def train_code(plan: Plan, run: str, **_: str) -> str:
    """That of a run's training: the loop and its method."""
    return rerun.train_code(plan.find(run).method)


def candidate_code(plan: Plan, run: str, **_: str) -> str:
    """That of a candidate's training and of its responses; how these are scored is up to the selection."""
    return f"{train_code(plan, run)} {rerun.responses_code()}"


def select_code(plan: Plan, task: str, **_: str) -> str:
    """That of a selection, and of the scores that it compares and keeps."""
    return rerun.select_code(task, plan.prior_config(sweep=True))


def measure_code(
    plan: Plan, step: str, run: str | None = None, task: str | None = None, measured: str | None = None, **_: str
) -> str:
    """That of a step which measures a run, a base model on a task, or one on all tasks of its scale."""
    if measured is not None:
        tasks = plan.scale.studies[measured].tasks
    elif run is not None:
        tasks = [plan.find(run).task]
    else:
        tasks = plan.tasks if task is None else [task]
    return rerun.measure_code(step, *tasks)
