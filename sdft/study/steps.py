"""What each rule of the DAG reads, and what its step is told: functions of a plan and a rule's wildcards.

A function is called with the plan of the rule's scale and with its wildcards by name, of which it takes those that it
needs. A `..._spec` is the JSON text that the step takes as `--spec`, and a `..._code` a digest of the code that decides
the step's result. As parameters of the rule they rerun the step when they change, so a spec holds what is set here and
nothing that decides no result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sdft.common.files import digest, read_json
from sdft.data.fetch import local_path
from sdft.miniature.schema import DataSpec, PretrainSpec, size_and_seed
from sdft.models.schema import ORIGIN, BaseModelSource, ModelSpec
from sdft.study import exhibits, paths, rerun
from sdft.study.exhibits.build import NO_CONTEXT, exhibit, files
from sdft.study.forecast import study_hours
from sdft.study.plan import Plan
from sdft.study.schema import Config
from sdft.study.specs import (
    CandidateSpec,
    DivergenceSpec,
    EvaluateSpec,
    LengthsSpec,
    PassKSpec,
    SelectSpec,
    TrajectorySpec,
)
from sdft.tasks import find_task, tested
from sdft.tasks.benchmarks import BENCHMARKS


def data_scales(config: Config, source: str) -> str:
    """A wildcard pattern of the scales whose data come from the source."""
    return _pattern(name for name, scale in config.scales.items() if scale.data.source == source)


def task_scales(config: Config, origin: str, task: str) -> str:
    """A wildcard pattern of the scales in which a task's rows have that origin."""
    return _pattern(name for name, scale in config.scales.items() if scale.data.origin(task) == origin)


def model_scales(config: Config, *origins: str) -> str:
    """A wildcard pattern of the scales with base models of some origins, if the path goes on with one of these."""
    rest = paths.BASE.removeprefix(paths.ROOT)
    found = {
        name: [re.escape(model) for model in scale.every_model() if scale.models.origin(model) in origins]
        for name, scale in config.scales.items()
    }
    return _pattern(
        f"{name}(?={rest.format(model='(' + '|'.join(models) + ')')})" for name, models in found.items() if models
    )


def _pattern(names: Iterable[str]) -> str:
    return "|".join(names) or "none"


def _text(spec: BaseModel) -> str:
    return spec.model_dump_json(exclude_unset=True)


# The runs, and the devices that a job needs.


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


def gpus(plan: Plan, **_: str) -> int:
    """GPUs of a job that is not a training: one, where the scale has any."""
    return min(plan.scale.gpus, 1)


def training_gpus(plan: Plan, run: str, **_: str) -> int:
    """GPUs of one training."""
    return plan.scale.training_gpus(plan.find(run).base)


def processes(plan: Plan, run: str, **_: str) -> int:
    """Processes of one training, one a GPU."""
    return max(1, training_gpus(plan, run))


# Data and base models.


def miniature_spec(plan: Plan, task: str, **_: str) -> str:
    """A part of the miniature world's data: a task, `general` or `benchmarks`."""
    data = plan.scale.data
    own: dict[str, Any] = {}
    if task in data.sizes:
        own = data.sizes[task].model_dump(exclude_none=True)
    else:
        own["benchmark_items"] = data.benchmark_items
        if task == "general":
            own["general"] = data.general_prompts
    return _text(DataSpec(out=plan.path(paths.DATA_ROOT), task=task, world_seed=data.world_seed, **own))


def data_spec(plan: Plan, task: str, **_: str) -> str:
    """The data block of a scale, of it what concerns one task, `general` or `benchmarks`."""
    return plan.scale.data.preparation(task, plan.scale.demonstration).model_dump_json(exclude_defaults=True)


def local_data_files(plan: Plan, task: str, **_: str) -> list[str]:
    """The files on this machine that a task's rows come from."""
    found = map(local_path, plan.scale.data.tasks[task].sources)
    return [str(path) for path in found if path and path.exists()]


def local_model_files(plan: Plan, model: str, **_: str) -> list[str]:
    """The files of a base model that lies in a local folder."""
    folder = local_path(plan.scale.models.sources[model])
    return [] if folder is None else sorted(map(str, [*folder.glob("config.json"), *folder.glob("*.safetensors")]))


def lengths_spec(plan: Plan, task: str, model: str, **_: str) -> str:
    """The prompts that are counted for a task and a base model."""
    run = plan.longest(task, model)
    return _text(
        LengthsSpec(
            model=plan.base_path(model),
            data=plan.path(paths.DATA_FOLDER, task=task),
            demonstration=run.demonstration,
            settings=run.settings,
            evaluation=plan.scale.evaluation_of(model),
            out=plan.lengths_path(task, model),
        )
    )


def released_model_folder(plan: Plan, model: str, **_: str) -> str:
    """The folder of a base model that is released with this repository."""
    return f"{plan.scale.models.path}/{model}"


def released_digests(plan: Plan, **_: str) -> str:
    """The digests that are released with a scale's base models."""
    return f"{plan.scale.models.path}/sha256.json"


def released_digest(plan: Plan, model: str, **_: str) -> str:
    """A digest over the released files of a base model; that of null where there is none of that name."""
    return digest(read_json(released_digests(plan)).get(model))


def pretrain_spec(plan: Plan, model: str, **_: str) -> str:
    """A miniature base model, whose name says its size and seed, in the study's world."""
    size, seed = size_and_seed(model)
    own = {} if plan.scale.models.documents is None else {"documents": plan.scale.models.documents}
    folder = plan.path(paths.BASE_WEIGHTS, model=model)
    return _text(PretrainSpec(out=folder, size=size, seed=seed, world_seed=plan.scale.data.world_seed, **own))


def requirements(plan: Plan, model: str, **_: str) -> list[str]:
    """The command that holds a trained miniature base model to its requirements, where it has to be fit for the study:
    size m, trained in full. Elsewhere one that does nothing."""
    if not model.startswith("m-") or plan.scale.models.documents:
        return ["true"]
    command = ["python", "-m", "sdft.evaluate.requirements", "--world-seed", str(plan.scale.data.world_seed)]
    command += ["--model", plan.path(paths.BASE_WEIGHTS, model=model)]
    return [*command, "--out", plan.path(paths.REQUIREMENTS, model=model)]


def source_spec(plan: Plan, model: str, **_: str) -> str:
    """Where a base model or a released checkpoint comes from. How it is used decides nothing about its files."""
    scale = plan.scale
    source = (scale.models.sources | scale.released)[model]
    folder = paths.RELEASED_FOLDER if model in scale.released else paths.BASE_FOLDER
    return _text(
        ModelSpec(
            name=model,
            source=BaseModelSource(**source.model_dump(include=set(ORIGIN))),
            tokenizer=scale.models.tokenizer,
            out=plan.path(folder, model=model),
        )
    )


# Measures of a model.


def _drawing(plan: Plan, base: str) -> dict[str, Any]:
    """How responses of a base model, and of what is trained from it, are drawn."""
    return plan.scale.evaluation_of(base).model_dump()


def _shown(plan: Plan, task: str, context: str) -> dict[str, Any]:
    """What a base model is shown beside the question, and in which template."""
    return {} if context == NO_CONTEXT else {"context": context, "template": plan.teacher_template(task, context)}


def benchmark_files(plan: Plan, **_: str) -> list[str]:
    """Local benchmark files, where the scale makes its own."""
    if plan.prior_config()["data_dir"] is None:
        return []
    return [plan.path(paths.BENCHMARK_ITEMS, benchmark=name) for name in BENCHMARKS]


def test_files(plan: Plan, task: str, **_: str) -> list[str]:
    """The splits on which a trained model is measured on a task."""
    return [plan.data_path(task, split) for split in find_task(task).tests]


def run_test_files(plan: Plan, run: str, **_: str) -> list[str]:
    """The splits on which a run is measured."""
    return test_files(plan, plan.find(run).task)


def context_files(plan: Plan, task: str, split: str, **_: str) -> list[str]:
    """The splits on which a base model is measured with something in its context: the named one in test's place."""
    return [plan.data_path(task, split if one == "test" else one) for one in find_task(task).tests]


def _evaluation(plan: Plan, base: str, benchmarks: bool = True, **own: Any) -> str:
    prior = {"benchmarks": ["all"], "prior_config": plan.prior_config()} if benchmarks else {}
    own |= _drawing(plan, base) | {"temperature": 0.0}
    return _text(EvaluateSpec(data_root=plan.path(paths.DATA_ROOT), **prior, **own))


def evaluate_spec(plan: Plan, run: str, **_: str) -> str:
    """A final run on its own task and the prior benchmarks."""
    found = plan.find(run)
    folder = plan.path(paths.RUN_SCORES, scored="scores", study=found.study, run=run)
    return _evaluation(plan, found.base, model=plan.model_path(found), task=list(tested(found.task)), out=folder)


def base_test_files(plan: Plan, judged: bool = False, **_: str) -> list[str]:
    """The tests of a scale's tasks, or of those that a judge decides, on which its base models are measured."""
    return [path for task in plan.tasks if find_task(task).judged or not judged for path in test_files(plan, task)]


def base_results(plan: Plan, judged: bool = False, **_: str) -> list[str]:
    """The names of what base models are measured on, or of what a judge decides of it."""
    return [name for task in plan.tasks if find_task(task).judged or not judged for name in tested(task)]


def evaluate_base_spec(plan: Plan, model: str, **_: str) -> str:
    """A base model on the scale's tasks and the prior benchmarks."""
    folder = plan.path(paths.BASE_SCORES, scored="scores", model=model)
    return _evaluation(plan, model, model=plan.base_path(model), task=base_results(plan), out=folder)


def evaluate_context_spec(plan: Plan, task: str, context: str, split: str, model: str, **_: str) -> str:
    """A base model on one task with something in its context."""
    where = {"task": task, "context": context, "split": split, "model": model}
    folder = plan.path(paths.CONTEXT_SCORES, scored="scores", **where)
    shown = _shown(plan, task, context) | {"split": split}
    return _evaluation(plan, model, False, model=plan.base_path(model), task=list(tested(task)), out=folder, **shown)


def evaluate_released_spec(plan: Plan, model: str, task: str, **_: str) -> str:
    """A released checkpoint on its own task and the prior benchmarks."""
    ready, folder = (plan.path(path, model=model, task=task) for path in (paths.RELEASED, paths.RELEASED_SCORES))
    return _evaluation(plan, model, model=ready, task=[task], out=folder)


def trajectory_files(plan: Plan, measured: str, **_: str) -> list[str]:
    """The data of a study's tasks."""
    return [plan.data_path(task, "test") for task in plan.scale.studies[measured].tasks]


def model_file(plan: Plan, run: str, **_: str) -> str:
    """The trained model of a run."""
    return plan.model_path(plan.find(run))


def trajectory_spec(plan: Plan, measured: str, run: str, **_: str) -> str:
    """A run's accuracy along its training, on a study's tasks and the prior benchmarks."""
    study, found = plan.scale.studies[measured], plan.find(run)
    return _text(
        TrajectorySpec(
            model=plan.model_path(found),
            task=study.tasks,
            data_root=plan.path(paths.DATA_ROOT),
            prior_config=plan.prior_config(),
            prior_limit=study.prior_limit,
            out=plan.path(paths.TRAJECTORY, measured=measured, study=found.study, run=run),
            **_drawing(plan, found.base) | {"limit": study.limit},
        )
    )


def base_file(plan: Plan, run: str | None = None, model: str | None = None, **_: str) -> str:
    """The base model of a run, or the one that is named."""
    return plan.base_path(model or plan.find(run).base)


def measured_model(plan: Plan, run: str | None = None, model: str | None = None, **_: str) -> str:
    """The model of a run, or a base model."""
    return plan.base_path(model) if run is None else model_file(plan, run)


def measured_data(plan: Plan, taken: str, run: str | None = None, task: str | None = None, **_: str) -> str:
    """The data on which the study `taken` takes a measure of a run, or of a base model on a task."""
    return plan.data_path(task or plan.find(run).task, plan.scale.studies[taken].split)


def _measure(plan: Plan, taken: str, template: str, wildcards: dict[str, str]) -> dict[str, Any]:
    """What a study's measure of a run, or of a base model, has in common with the others."""
    study, run = plan.scale.studies[taken], wildcards.get("run")
    base = wildcards["model"] if run is None else plan.find(run).base
    task = wildcards["task"] if run is None else plan.find(run).task
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
    return _text(PassKSpec(temperature=1.0, top_p=0.95, **_measure(plan, taken, template, wildcards)))


def divergence_spec(plan: Plan, taken: str, **wildcards: str) -> str:
    """The distance of a run, or of a base model with a demonstration, from the base model."""
    template = paths.RUN_DIVERGENCE if "run" in wildcards else paths.BASE_DIVERGENCE
    return _text(DivergenceSpec(base=base_file(plan, **wildcards), **_measure(plan, taken, template, wildcards)))


def candidate_spec(plan: Plan, run: str, **_: str) -> str:
    """A candidate of a sweep, with how it is scored."""
    found = plan.find(run)
    return _text(
        CandidateSpec(
            run=f"{plan.run_folder(found)}/run.json",
            validation=plan.data_path(found.task, "validation"),
            out=plan.validation_path(found),
            prior_config=plan.prior_config(sweep=True),
            keep_weights=plan.config.keep_sweep_weights,
            **_drawing(plan, found.base),
        )
    )


def candidates(plan: Plan, task: str, arm: str, **_: str) -> list[str]:
    """What an arm's candidates on a task reached."""
    return [plan.validation_path(run) for run in plan.candidates(task, arm)]


def candidate_replies(plan: Plan, task: str, arm: str, **_: str) -> list[str]:
    """What an arm's candidates on a task replied."""
    return [plan.path(paths.REPLIES, task=task, arm=arm, run=run.id) for run in plan.candidates(task, arm)]


def select_spec(plan: Plan, task: str, arm: str, **_: str) -> str:
    """The selection of an arm's winner on a task."""
    # The candidates of an arm have one base model size, so one way to be scored.
    base = plan.candidates(task, arm)[0].base
    return _text(
        SelectSpec(
            out=plan.selected_path(task, arm),
            method=plan.arm(arm).method,
            validation=plan.data_path(task, "validation"),
            limit=_drawing(plan, base)["limit"],
            prior_config=plan.prior_config(sweep=True),
        )
    )


def judge_config(plan: Plan, **_: str) -> str:
    """The judge of a scale."""
    return plan.scale.judge.model_dump_json()


# The code that decides a run's weights, a candidate's score and a measure.


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


# What is shown.


def base_score_files(plan: Plan, model: str, **_: str) -> list[str]:
    """The declared files of a base model's scores."""
    return plan.base_score_files(model)


def base_scores(plan: Plan, model: str, **_: str) -> str:
    """The folder of a base model's scores."""
    return plan.base_scores_folder(model)


def gate_files(plan: Plan, **_: str) -> list[str]:
    """Checks of the scale's base models, of which the paper's must pass before anything is compared with it."""
    return [plan.path(paths.GATE, model=model) for model in plan.bases]


def _present(plan: Plan, files: list[str]) -> list[str]:
    """Inputs of a step that shows what is there: all of them, or, with `partial`, those that exist already."""
    return [path for path in files if not plan.config.partial or Path(path).exists()]


def exhibit_files(plan: Plan, table: str | None = None, figure: str | None = None, **_: str) -> list[str]:
    """Every result behind a table or figure."""
    return _present(plan, files(plan, table or figure))


def exhibit_plan(plan: Plan, table: str | None = None, figure: str | None = None, **_: str) -> str:
    """What a table or figure is made of, as text for its plan.json."""
    found = exhibit(plan, table or figure)
    if found.study in plan.scale.possible and not found.enabled:
        found = found.model_copy(update={"cost_hours": round(study_hours(plan, found.study), 2)})
    return found.model_dump_json(indent=1, exclude_defaults=True)


def selected_files(plan: Plan, **_: str) -> list[str]:
    """The winners of Table 5, with their rankings."""
    return _present(plan, list(dict.fromkeys(cell.selected for cell in exhibit(plan, "table5").cells)))


def released_plan(plan: Plan, **_: str) -> str:
    """The released checkpoints and where their scores lie, as text for plan.json."""
    return json.dumps(plan.released(), indent=1)


def released_scores(plan: Plan, **_: str) -> list[str]:
    """Scores of the released checkpoints."""
    return plan.released_scores()


def released_files(plan: Plan, **_: str) -> list[str]:
    """The table of the scale's released checkpoints, where it has some."""
    files = (paths.VERDICT, paths.TABLE.replace("{kind}", "md"))
    return [plan.path(path, table="released") for path in files] if plan.scale.released else []


def shown_files(plan: Plan, **_: str) -> list[str]:
    """The verdict of every table and the numbers of every figure."""
    tables = [plan.path(paths.VERDICT, table=name) for name in exhibits.names("table")]
    return tables + [plan.path(paths.FIGURE, figure=name, kind="json") for name in exhibits.names("figure")]


def target_files(plan: Plan, *names: str) -> list[str]:
    """The files of some targets: tables and figures by name, `claims`, `report` (Table 5's) and `results` (all)."""
    return [path for name in names for path in _target(plan, name)]


def _target(plan: Plan, name: str) -> list[str]:
    if name in exhibits.names("table"):
        return [plan.path(paths.VERDICT, table=name), plan.path(paths.TABLE, table=name, kind="md")]
    if name in exhibits.names("figure"):
        return [plan.path(paths.FIGURE, figure=name, kind=kind) for kind in ("pdf", "svg", "png", "json")]
    if name == "claims":
        return [plan.path(paths.LEDGER, kind=kind) for kind in ("json", "md")]
    return [plan.path({"report": paths.REPORT, "results": paths.RESULTS}[name])]
