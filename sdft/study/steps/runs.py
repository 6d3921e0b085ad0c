"""The runs: what they are told and read, and the devices that a job needs."""

from __future__ import annotations

from sdft.study import paths
from sdft.study.plan import Plan


def run_spec(plan: Plan, run: str, **_: str) -> str:
    """RUN.json of a run."""
    return plan.find(run).text()


def run_inputs(plan: Plan, run: str, **_: str) -> list[str]:
    """Files that a run's training reads."""
    found = plan.find(run)
    optional = [found.data["prompts"], found.data["corpus"], found.parent, found.selected]
    if plan.scale.data.origin(found.task) != "made":
        optional.append(plan.lengths_path(found.task, found.base))
    return [found.base_ready, found.data["train"], *filter(None, optional)]


def proof(plan: Plan, **_: str) -> list[str]:
    """What shows that models can be scored before many are trained: base models' scores, where GPUs are used."""
    return [plan.path(paths.GATE, model=model) for model in plan.bases] if plan.scale.gpus else []


def gpus(plan: Plan, **_: str) -> int:
    """GPUs of a job that is not a training: one, where the scale has any."""
    return min(plan.scale.gpus, 1)


def training_gpus(plan: Plan, run: str, **_: str) -> int:
    """GPUs of one training."""
    return plan.scale.training_gpus(plan.find(run).base)


def trained_before(plan: Plan, run: str, **_: str) -> list[str]:
    """The trained model of a candidate that is trained in a job of its own, since scoring it takes one of its GPUs."""
    apart = training_gpus(plan, run) > 1
    found = plan.find(run)
    return [plan.path(paths.CANDIDATE_MODEL, task=found.task, arm=found.arm, run=run)] if apart else []


def promoted(plan: Plan, run: str, **_: str) -> list[str]:
    """Of a sweep by halving: what a candidate has shown after its first part, and which candidates go on."""
    found = plan.find(run)
    where = {"task": found.task, "arm": found.arm}
    files = [plan.path(paths.RUNG, run=run, **where), plan.path(paths.PROMOTED, **where)]
    return files if plan.halves(found) else []


def candidate_gpus(plan: Plan, run: str, **_: str) -> int:
    """GPUs of the job that scores a candidate, and trains it where that takes no more."""
    return min(1, training_gpus(plan, run))


def processes(plan: Plan, run: str, **_: str) -> int:
    """Processes of one training, one a GPU."""
    return max(1, training_gpus(plan, run))
