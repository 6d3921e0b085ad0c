"""The code that decides a run's weights, a candidate's score and a measure."""

from __future__ import annotations

from sdft.common.files import digest
from sdft.study import rerun
from sdft.study.plan import Plan


def train_code(plan: Plan, run: str, **_: str) -> str:
    """That of a run's training: the loop and its method."""
    return rerun.train_code(plan.find(run).method)


def candidate_code(plan: Plan, run: str, **_: str) -> str:
    """That of a candidate's training and of its responses; how these are scored is up to the selection."""
    return f"{train_code(plan, run)} {rerun.responses_code()}"


def select_code(plan: Plan, task: str, **_: str) -> str:
    """That of a selection, and of the scores or verdicts that it compares and keeps."""
    code = rerun.select_code(task, plan.prior_config(sweep=True))
    return f"{code} {rerun.measure_code('judge', task)}" if plan.scored(task) == "judged" else code


def measure_code(
    plan: Plan,
    step: str,
    run: str | None = None,
    task: str | None = None,
    measured: str | None = None,
    prior: bool = False,
    **_: str,
) -> str:
    """That of a step which measures a run, a base model on a task, or one on all tasks of its scale.

    prior: whether the prior benchmarks are measured too.
    """
    if measured is not None:
        tasks = plan.scale.studies[measured].tasks
    elif run is not None:
        tasks = [plan.find(run).task]
    else:
        tasks = plan.tasks if task is None else [task]
    codes = [rerun.measure_code(step, *tasks)]
    if prior:
        config = plan.prior_config()
        codes += [rerun.prior_code(config, name)["scores"] for name in config["tasks"]]
    return digest(codes, 12)


def flops_code(plan: Plan, run: str, **_: str) -> str:
    """That of counting the FLOPs of a run's training."""
    return rerun.flops_code(plan.find(run).method)


def exhibit_code(plan: Plan, table: str | None = None, figure: str | None = None, **_: str) -> str:
    """That of a table or figure."""
    return rerun.exhibit_code(table or figure, *_shown_names(plan))


def page_code(plan: Plan, step: str, **_: str) -> str:
    """That of a page over all tables and figures."""
    return rerun.page_code(step, *_shown_names(plan))


def _shown_names(plan: Plan) -> tuple[set[str], set[str]]:
    """Methods and tasks that a scale's pages may show."""
    return {arm.method for _, arm in plan.scale.every_arm()}, {run.task for run in plan.runs()}
