"""Measures of a model: what they read, and what they are told."""

from __future__ import annotations

from typing import Any

from sdft.study import paths
from sdft.study.exhibits.build import NO_CONTEXT
from sdft.study.plan import Plan, RunSpec
from sdft.study.specs import (
    CandidateSpec,
    DivergenceSpec,
    EvaluateSpec,
    PassKSpec,
    PromoteSpec,
    RungSpec,
    SelectSpec,
    TrajectorySpec,
    as_text,
)
from sdft.study.steps.runs import candidate_gpus
from sdft.tasks import find_task, tested
from sdft.tasks.benchmarks import BENCHMARKS


def _drawing(plan: Plan, base: str) -> dict[str, Any]:
    """How responses of a base model, and of what is trained from it, are drawn."""
    promised = {"gpus": 1} if plan.scale.gpus else {}
    return plan.scale.evaluation_of(base).model_dump() | promised


def _shown(plan: Plan, task: str, context: str) -> dict[str, Any]:
    """What a base model is shown beside the question, and in which template."""
    return {} if context == NO_CONTEXT else {"context": context, "template": plan.teacher_template(task, context)}


def benchmark_files(plan: Plan, **_: str) -> list[str]:
    """The prior benchmarks' data: local files where the scale makes its own, else the record of what was fetched."""
    if plan.prior_config()["data_dir"] is None:
        return [plan.path(paths.PRIOR_DATA)]
    return [plan.path(paths.BENCHMARK_ITEMS, benchmark=name) for name in BENCHMARKS]


def _data_root(plan: Plan, base: str, draw: str) -> str:
    """The folder of all tasks as a base model, and what is trained from it, has them, or a later draw of these."""
    return plan.path(paths.DATA_ROOT, draw=draw or plan.draw_of(base))


def test_files(plan: Plan, task: str, model: str, draw: str) -> list[str]:
    """The splits on which a base model, and what is trained from it, is measured on a task."""
    return [plan.measured_path(task, split, model, draw) for split in find_task(task).tests]


def run_test_files(plan: Plan, run: str, **_: str) -> list[str]:
    """The splits on which a run is measured."""
    found = plan.find(run)
    return test_files(plan, found.task, found.base, found.draw)


def context_files(plan: Plan, task: str, split: str, model: str, draw: str = "", **_: str) -> list[str]:
    """The splits on which a base model is measured with something in its context: the named one in test's place."""
    return [plan.measured_path(task, split if one == "test" else one, model, draw) for one in find_task(task).tests]


def _evaluation(plan: Plan, base: str, benchmarks: bool = True, **own: Any) -> str:
    prior = {"benchmarks": ["all"], "prior_config": plan.prior_config()} if benchmarks else {}
    own |= _drawing(plan, base) | {"temperature": 0.0}
    return as_text(EvaluateSpec(**prior, **own))


def evaluate_spec(plan: Plan, run: str, **_: str) -> str:
    """A final run on its own task and the prior benchmarks."""
    found = plan.find(run)
    folder = plan.path(paths.RUN_SCORES, scored="scores", study=found.study, run=run)
    model, root = plan.model_path(found), _data_root(plan, found.base, found.draw)
    return _evaluation(plan, found.base, model=model, data_root=root, task=list(tested(found.task)), out=folder)


def base_test_files(plan: Plan, model: str, judged: bool = False, **_: str) -> list[str]:
    """The tests of a scale's tasks, or of those that a judge decides, on which a base model is measured."""
    tasks = [task for task in plan.tasks if find_task(task).judged or not judged]
    return [path for task in tasks for path in test_files(plan, task, model, "")]


def base_results(plan: Plan, judged: bool = False, **_: str) -> list[str]:
    """The names of what base models are measured on, or of what a judge decides of it."""
    return [name for task in plan.tasks if find_task(task).judged or not judged for name in tested(task)]


def evaluate_base_spec(plan: Plan, model: str, **_: str) -> str:
    """A base model on the scale's tasks and the prior benchmarks."""
    folder = plan.path(paths.BASE_SCORES, scored="scores", model=model)
    root = _data_root(plan, model, "")
    return _evaluation(plan, model, model=plan.base_path(model), data_root=root, task=base_results(plan), out=folder)


def evaluate_context_spec(plan: Plan, task: str, context: str, split: str, model: str, draw: str = "", **_: str) -> str:
    """A base model on one task with something in its context."""
    where = {"task": task, "context": context, "split": split, "model": model, "draw": draw}
    folder = plan.path(paths.CONTEXT_SCORES, scored="scores", **where)
    shown = _shown(plan, task, context) | {"split": split, "data_root": _data_root(plan, model, draw)}
    return _evaluation(plan, model, False, model=plan.base_path(model), task=list(tested(task)), out=folder, **shown)


def evaluate_released_spec(plan: Plan, model: str, task: str, **_: str) -> str:
    """A released checkpoint on its own task and the prior benchmarks."""
    ready, folder = (plan.path(path, model=model, task=task) for path in (paths.RELEASED, paths.RELEASED_SCORES))
    return _evaluation(plan, model, model=ready, data_root=plan.path(paths.DATA_ROOT), task=[task], out=folder)


def trajectory_files(plan: Plan, measured: str, run: str, **_: str) -> list[str]:
    """The data of a study's tasks."""
    found = plan.find(run)
    return [plan.measured_path(task, "test", found.base, found.draw) for task in plan.scale.studies[measured].tasks]


def model_file(plan: Plan, run: str, **_: str) -> str:
    """The trained model of a run."""
    return plan.model_path(plan.find(run))


def trajectory_spec(plan: Plan, measured: str, run: str, **_: str) -> str:
    """A run's accuracy along its training, on a study's tasks and the prior benchmarks.

    In a study of sequences with a context, also what the model of each stage can do with a demonstration before it, in
    the template of its run: the later stages are taught by it.
    """
    study, found = plan.scale.studies[measured], plan.find(run)
    taught = study.contexts if study.orders else []
    shown = {"context": taught[0], "template": found.settings.teacher_template} if taught else {}
    return as_text(
        TrajectorySpec(
            model=plan.model_path(found),
            task=study.tasks,
            data_root=_data_root(plan, found.base, found.draw),
            prior_config=plan.prior_config(),
            prior_limit=study.prior_limit,
            out=plan.path(paths.TRAJECTORY, measured=measured, study=found.study, run=run),
            **shown,
            **_drawing(plan, found.base) | {"limit": study.limit},
        )
    )


def base_file(plan: Plan, run: str | None = None, model: str | None = None, **_: str) -> str:
    """The base model of a run, or the one that is named."""
    return plan.base_path(model or plan.find(run).base)


def measured_model(plan: Plan, run: str | None = None, model: str | None = None, **_: str) -> str:
    """The model of a run, or a base model."""
    return plan.base_path(model) if run is None else model_file(plan, run)


def _about(
    plan: Plan, run: str | None = None, task: str = "", model: str = "", draw: str = "", **_: str
) -> tuple[str, str, str]:
    """The task, the base model and the later draw of what is measured: a run, or a base model on a task."""
    found = None if run is None else plan.find(run)
    return (task, model, draw) if found is None else (found.task, found.base, found.draw)


def measured_data(plan: Plan, taken: str, **wildcards: str) -> str:
    """The data on which the study `taken` takes a measure of a run, or of a base model on a task."""
    task, base, draw = _about(plan, **wildcards)
    return plan.data_path(task, plan.scale.studies[taken].split, base, draw)


def _measure(plan: Plan, taken: str, template: str, wildcards: dict[str, str]) -> dict[str, Any]:
    """What a study's measure of a run, or of a base model, has in common with the others."""
    study, (task, base, _) = plan.scale.studies[taken], _about(plan, **wildcards)
    return {
        "model": measured_model(plan, **wildcards),
        "task": task,
        "data": measured_data(plan, taken, **wildcards),
        "samples": study.samples,
        "seed": 0,
        "out": plan.path(template, **wildcards),
        **_shown(plan, task, wildcards.get("context", NO_CONTEXT)),
        # The study limits a measure by itself.
        **_drawing(plan, base),
        "limit": study.limit,
    }


def passk_spec(plan: Plan, taken: str, **wildcards: str) -> str:
    """Many sampled responses of a run, or of a base model, drawn as the paper does."""
    template = paths.RUN_PASSK if "run" in wildcards else paths.BASE_PASSK
    return as_text(PassKSpec(temperature=1.0, top_p=0.95, **_measure(plan, taken, template, wildcards)))


def divergence_spec(plan: Plan, taken: str, **wildcards: str) -> str:
    """The distance of a run, or of a base model with a demonstration, from the base model."""
    template = paths.RUN_DIVERGENCE if "run" in wildcards else paths.BASE_DIVERGENCE
    return as_text(DivergenceSpec(base=base_file(plan, **wildcards), **_measure(plan, taken, template, wildcards)))


def validation_file(plan: Plan, run: str, **_: str) -> str:
    """The validation records of a candidate."""
    found = plan.find(run)
    return plan.data_path(found.task, "validation", found.base)


def validation_files(plan: Plan, task: str, arm: str, **_: str) -> list[str]:
    """The validation records of each of an arm's candidates on a task; one file, where all have the same."""
    found = [validation_file(plan, run.id) for run in plan.candidates(task, arm)]
    return found if len(set(found)) > 1 else found[:1]


def _validated(plan: Plan, found: RunSpec, out: str) -> dict[str, Any]:
    """A candidate, and how its validation responses are drawn."""
    promised = {"gpus": candidate_gpus(plan, found.id)} if plan.scale.gpus else {}
    return {
        "run": f"{plan.run_folder(found)}/run.json",
        "validation": validation_file(plan, found.id),
        "out": out,
        **_drawing(plan, found.base) | promised,
    }


def candidate_spec(plan: Plan, run: str, **_: str) -> str:
    """A candidate of a sweep, with how it is scored."""
    found = plan.find(run)
    promoted = plan.path(paths.PROMOTED, task=found.task, arm=found.arm)
    return as_text(
        CandidateSpec(
            prior_config=plan.prior_config(sweep=True),
            keep_weights=plan.config.keep_sweep_weights,
            # Only what is set is among the rule's parameters.
            **({"promoted": promoted} if plan.halves(found) else {}),
            **_validated(plan, found, plan.validation_path(found)),
        )
    )


def rung_spec(plan: Plan, run: str, **_: str) -> str:
    """The first part of a candidate of a sweep by halving, with how it is scored."""
    found = plan.find(run)
    out = plan.path(paths.RUNG, task=found.task, arm=found.arm, run=run)
    return as_text(RungSpec(**_validated(plan, found, out)))


def rungs(plan: Plan, task: str, arm: str, **_: str) -> list[str]:
    """What an arm's candidates on a task have shown after their first part."""
    return [plan.path(paths.RUNG, task=task, arm=arm, run=run.id) for run in plan.candidates(task, arm)]


def promote_spec(plan: Plan, task: str, arm: str, **_: str) -> str:
    """Which candidates of an arm on a task go on after their first part."""
    return as_text(PromoteSpec(out=plan.path(paths.PROMOTED, task=task, arm=arm)))


def candidates(plan: Plan, task: str, arm: str, **_: str) -> list[str]:
    """What an arm's candidates on a task reached."""
    return [plan.validation_path(run) for run in plan.candidates(task, arm)]


def candidate_replies(plan: Plan, task: str, arm: str, **_: str) -> list[str]:
    """What an arm's candidates on a task replied."""
    return [plan.path(paths.REPLIES, task=task, arm=arm, run=run.id) for run in plan.candidates(task, arm)]


def select_spec(plan: Plan, task: str, arm: str, **_: str) -> str:
    """The selection of an arm's winner on a task."""
    # The candidates of an arm have one base model size, so one way to be scored.
    base, validation = plan.candidates(task, arm)[0].base, validation_files(plan, task, arm)
    return as_text(
        SelectSpec(
            out=plan.selected_path(task, arm),
            method=plan.arm(arm).method,
            validation=validation if len(validation) > 1 else validation[0],
            limit=_drawing(plan, base)["limit"],
            prior_config=plan.prior_config(sweep=True),
            # Only what is set is among the rule's parameters.
            **({"judge": plan.scale.judge} if plan.scored(task) == "judged" else {}),
        )
    )


def judge_config(plan: Plan, **_: str) -> str:
    """The judge of a scale."""
    return plan.scale.judge.model_dump_json()
