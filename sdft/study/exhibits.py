"""What each table and figure of the paper is made of: its cells, the runs behind them, and the files they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from sdft.study import paths
from sdft.study.gate import bands
from sdft.study.plan import Plan, RunSpec
from sdft.study.schema import Study
from sdft.tasks import tested

# The study that a table or figure shows; None where it is Table 5's.
STUDY_OF = {
    "table1": "knowledge",
    "table2": "reasoning",
    "table3": None,
    "table4": None,
    "table5": None,
    "figure1": None,
    "figure2": "teacher",
    "figure3": "sequential",
    "figure4": None,
    "figure5": "scaling",
    "figure6": "onpolicy",
    "figure7": "knowledge",
    "figure8": "teachers",
    "ablations": "ablations",
    "foreign": "foreign",
    "cost": None,
}
TABLES = tuple(name for name in STUDY_OF if not name.startswith("figure"))
FIGURES = tuple(name for name in STUDY_OF if name.startswith("figure"))
# The question alone, for a base model on a task that is not one of Table 5's.
NO_CONTEXT = "none"
# Measures that a study takes of its runs beside their scores.
TRAJECTORIES = ("sequential", "onpolicy", "teachers")
PASS_AT_K = ("scaling",)
DIVERGENCES = ("teacher",)
# Whose cost the paper states against SFT's, and whose sweeps it lists.
COSTED = ("sft", "sdft")
SWEEPS = {"table3": "table5", "table4": "knowledge"}
# Sizes of the miniature world's models, in order; the paper's are billions of parameters ("7b").
SIZES = ("xs", "s", "m", "l")


def item(plan: Plan, name: str) -> dict[str, Any]:
    """What `sdft.pages` reads of a table or figure: every cell with its runs, and all candidates.

    A study that the scale does not have, or has switched off, is not enabled.
    """
    study = STUDY_OF[name]
    found = {
        "item": name,
        "scale": plan.name,
        "study": study or "table5",
        "tolerance": plan.config.tolerance.model_dump(),
        "enabled": True,
    }
    if study is not None:
        entry = plan.scale.possible.get(study)
        found |= {"enabled": plan.not_run(study) is None, "reason": plan.not_run(study)}
        if entry is None:
            return found | {"base": [], "cells": [], "teachers": [], "candidates": []}
        found |= _study(plan, study, entry)
    elif name in SWEEPS:
        found |= {"base": [], "cells": [], "teachers": [], "candidates": [], "sweeps": _sweeps(plan, name)}
    else:
        found |= _table5(plan, COSTED if name == "cost" else tuple(plan.arms))
    if name == "table5":
        found["versions"] = _versions(plan)
    if bands()["model"] in {entry["model"] for entry in found["base"]} & set(plan.bases):
        found["gate"] = [plan.path(paths.GATE, model=bands()["model"])]
    if name == "ablations":
        found["estimators"] = plan.path(paths.ESTIMATORS)
    if name == "cost":
        for run in (run for cell in found["cells"] for run in cell["runs"]):
            run["flops"] = plan.path(paths.FLOPS, study="table5", run=run["run"])
    return found


def _table5(plan: Plan, arms: Sequence[str]) -> dict[str, Any]:
    pairs = list(product(plan.tasks, arms))
    return {
        "base": _base(plan),
        "cells": [_cell(plan, "table5", task, arm, plan.finals("table5", task, arm)) for task, arm in pairs],
        "teachers": [],
        "candidates": _candidates(plan, pairs),
    }


def _versions(plan: Plan) -> dict[str, dict[str, Any]]:
    """The shorter versions of each test set, numbers of its first rows, with the file that has their order."""
    return {
        task: {"data": plan.data_path(task, "test"), "rows": shorter}
        for task in plan.tasks
        if (rules := plan.scale.data.files(task))
        and (shorter := [rows for rows in rules.test_versions if rows < (rules.test_rows or 0)])
    }


def _sweeps(plan: Plan, name: str) -> list[dict[str, Any]]:
    """The grids and fixed settings of the arms whose sweeps the paper lists; none of a study that the scale lacks."""
    study = plan.scale.possible.get(SWEEPS[name])
    arms = study.arms if study else plan.scale.arms if SWEEPS[name] == "table5" else {}
    tasks = study.tasks if study else plan.tasks
    found = {}
    for arm, entry in arms.items():
        if entry.grid is not None:
            settings = plan.config.settings_of(plan.name, arm).model_dump(mode="json")
            grid = entry.grid.model_dump(exclude_none=True)
            own = {task: plan.epochs(arm, task) for task in tasks}
            epochs = {task: values for task, values in own.items() if values != grid["epochs"]}
            line = {"method": entry.method, "arm": arm, "grid": grid, "task_epochs": epochs, "settings": settings}
            found.setdefault(entry.method, line)
    return list(found.values())


def _study(plan: Plan, study: str, entry: Study) -> dict[str, Any]:
    cells = [
        _cell(plan, study, task, arm, plan.finals("table5", task, arm))
        for task, arm in product(entry.tasks, entry.share)
    ]
    if entry.orders:
        for order, arm in product(entry.orders, entry.arms):
            chains = [plan.stages(arm, order, seed) for seed in plan.study_seeds(study)]
            for stage, task in enumerate(order):
                runs = [chain[stage] for chain in chains]
                cells.append(_cell(plan, study, task, arm, runs) | {"order": order, "stage": stage})
    else:
        for task, arm in product(entry.tasks, entry.arms):
            cells.append(_cell(plan, study, task, arm, plan.finals(study, task, arm)))
    bases = _bases(plan, study, entry)
    sizes = dict.fromkeys(_size(plan, model) for _, model in bases)
    return {
        "base": [_base_entry(plan, study, entry, seed, model) for seed, model in bases],
        "cells": sorted(cells, key=lambda cell: _rank(cell["size"])),
        "teachers": [
            {
                "task": task,
                "context": context,
                "size": size,
                "label": context,
                "runs": [_teacher(plan, study, task, context, *base) for base in bases if _size(plan, base[1]) == size],
            }
            for task, context, size in product(entry.tasks, entry.contexts, sizes)
        ],
        "candidates": _candidates(plan, product(entry.tasks, (*entry.share, *entry.arms))),
    }


def _bases(plan: Plan, study: str, entry: Study) -> list[tuple[int, str]]:
    """Seed and name of every base model of a study: the scale's, where some arm starts from them, and its arms' own."""
    found = []
    if entry.share or not all(arm.models for arm in entry.arms.values()):
        found += [(seed, plan.base_of(seed)) for seed in plan.seeds]
    for name, arm in entry.arms.items():
        if arm.models:
            found += [(seed, plan.base_of(seed, name)) for seed in plan.study_seeds(study)]
    return list(dict.fromkeys(found))


def _teacher(plan: Plan, study: str, task: str, context: str, seed: int, model: str) -> dict[str, Any]:
    """A base model that sees a demonstration or an article with each question."""
    where = {"task": task, "context": context, "split": plan.scale.studies[study].split, "model": model}
    found = {"seed": seed, "model": model, "scores": plan.context_scores_folder(**where)}
    if study in DIVERGENCES:
        found["divergence"] = plan.path(paths.BASE_DIVERGENCE, **where)
    return found


def _size(plan: Plan, model: str) -> str | None:
    """The size of a base model: its source's, or that with which a miniature one's name starts."""
    source = plan.scale.models.sources.get(model)
    if source is not None:
        return source.size
    size, found, _ = model.partition("-s")
    return size if found else None


def _rank(size: str | None) -> float:
    """The place of a size among others, from small to large."""
    if size is None:
        return -1
    return SIZES.index(size) if size in SIZES else float(size.rstrip("b"))


def _base(plan: Plan) -> list[dict[str, Any]]:
    return [_base_entry(plan, None, None, seed, plan.base_of(seed)) for seed in plan.seeds]


def _base_entry(plan: Plan, study: str | None, entry: Study | None, seed: int, model: str) -> dict[str, Any]:
    found = {"seed": seed, "model": model, "size": _size(plan, model), "scores": plan.base_scores_folder(model)}
    where = {"task": entry.tasks[0], "context": NO_CONTEXT, "split": entry.split, "model": model} if entry else {}
    # A model that Table 5 does not have is measured on the study's task alone, and so is each on another split.
    if entry and (entry.split != "test" or not (set(entry.tasks) <= set(plan.tasks) and model in plan.bases)):
        found |= {"scores": plan.context_scores_folder(**where), "task": entry.tasks[0]}
    if study in PASS_AT_K and model in plan.bases:
        found["passk"] = plan.path(paths.BASE_PASSK, **where)
    return found


def _cell(plan: Plan, study: str, task: str, arm: str, runs: list[RunSpec]) -> dict[str, Any]:
    chosen = plan.arm(arm)
    return {
        "task": task,
        "arm": arm,
        "method": chosen.method,
        "label": arm,
        "size": _size(plan, runs[0].base),
        "order": None,
        "stage": None,
        "selected": plan.selected_path(task, chosen.like or arm),
        "runs": [_run(plan, study, run) for run in runs],
    }


def _run(plan: Plan, study: str, run: RunSpec) -> dict[str, Any]:
    found = {
        "run": run.id,
        "seed": run.seed,
        "scores": plan.scores_folder(run),
        "model": plan.model_path(run),
    }
    if study in TRAJECTORIES:
        found["trajectory"] = plan.path(paths.TRAJECTORY, measured=study, study=run.study, run=run.id)
    if study in PASS_AT_K and run.study == "table5":
        found["passk"] = plan.path(paths.RUN_PASSK, study=run.study, run=run.id)
    if study in DIVERGENCES and run.study == "table5":
        found["divergence"] = plan.path(paths.RUN_DIVERGENCE, study=run.study, run=run.id)
    return found


def files(plan: Plan, name: str) -> list[str]:
    """Every result that a table or figure is made from; none where its study is switched off."""
    found = item(plan, name)
    return list(dict.fromkeys(_files(plan, found))) if found["enabled"] else []


def _files(plan: Plan, found: dict[str, Any]) -> Iterator[str]:
    for entry in found["base"]:
        if "task" in entry:
            yield from paths.scores(entry["scores"], *score_names(entry["task"]))
        else:
            yield from plan.base_score_files(entry["model"])
        yield from filter(None, [entry.get("passk")])
    for cell in found["cells"]:
        yield cell["selected"]
        for run in cell["runs"]:
            yield from plan.score_files(run["scores"], score_names(cell["task"]))
            yield run["model"]
            yield from (run[key] for key in ("trajectory", "passk", "divergence", "flops") if run.get(key))
    for teacher in found["teachers"]:
        for run in teacher["runs"]:
            yield from paths.scores(run["scores"], *score_names(teacher["task"]))
            yield from filter(None, [run.get("divergence")])
    yield from (entry["path"] for entry in found["candidates"])
    yield from filter(None, [found.get("estimators"), *found.get("gate", ())])
    yield from (entry["data"] for entry in found.get("versions", {}).values())


def score_names(task: str) -> list[str]:
    """The scores of a task, one a split on which it is tested."""
    return list(tested(task))


def _candidates(plan: Plan, pairs: Any) -> list[dict[str, Any]]:
    return [
        {"task": task, "arm": arm, "path": plan.validation_path(run)}
        for task, arm in pairs
        for run in plan.candidates(task, arm)
    ]
