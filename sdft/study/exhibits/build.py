"""What a table or figure of a plan is made of: its cells, the runs behind them, and the files they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError
from sdft.common.files import read_json
from sdft.study import paths
from sdft.study.exhibits import find
from sdft.study.exhibits.base import Declaration
from sdft.study.exhibits.schema import (
    BaseEntry,
    CandidateEntry,
    CellEntry,
    ContextEntry,
    Exhibit,
    RunEntry,
    SweepEntry,
    VersionEntry,
)
from sdft.study.gate import gates
from sdft.study.plan import Plan, RunSpec
from sdft.study.schema import Scale, Study
from sdft.tasks import tested

# The question alone, for a base model on a task that is not one of Table 5's.
NO_CONTEXT = "none"
# Sizes of the miniature world's models, in order; the paper's are billions of parameters ("7b").
SIZES = ("xs", "s", "m", "l")


def exhibit(plan: Plan, name: str) -> Exhibit:
    """What `sdft.evidence` reads of a table or figure: every cell with its runs, and all candidates.

    Raises SdftError where there is no such table or figure.
    """
    declared = find(name)
    fields = {
        "name": name,
        "scale": plan.name,
        "study": declared.study or "table5",
        "tolerance": plan.config.tolerance,
        "elsewhere": _elsewhere(plan.scale),
        **standing(plan.scale),
    }
    if declared.sweeps:
        return Exhibit(**fields, sweeps=_sweeps(plan, declared))
    if declared.study is None:
        fields |= _table5(plan, declared)
    else:
        fields["reason"] = plan.not_run(declared.study) or ""
        if declared.study not in plan.scale.possible:
            return Exhibit(**fields)
        entry = plan.scale.possible[declared.study]
        fields |= _study(plan, declared, entry)
        seeds = plan.study_seeds(declared.study)
        fields["seeds"] = [] if seeds == plan.seeds else seeds
    models = dict.fromkeys(entry.model for entry in fields["base"] if entry.model in plan.bases)
    fields["gate"] = [plan.path(paths.GATE, model=model) for model in models if model in gates()]
    if "estimators" in declared.measures:
        fields["estimators"] = plan.path(paths.ESTIMATORS)
    return Exhibit(**fields)


def standing(scale: Scale) -> dict[str, str]:
    """What a scale's numbers are worth, the sentence that says so, and why its cells are unlike the paper's."""
    unlike = {
        "paper": "",
        "own": "other models, tasks or benchmarks than the paper's",
        "none": f"{scale.notice[:1].lower()}{scale.notice[1:].removesuffix('.')}",
    }[scale.evidence]
    if scale.evidence == "own" and scale.data.source == "miniature":
        unlike = "miniature world: other models, tasks and benchmarks than the paper's"
    return {"evidence": scale.evidence, "notice": scale.notice, "unlike": unlike}


def _table5(plan: Plan, declared: Declaration) -> dict[str, Any]:
    pairs = [pair for pair in product(plan.tasks, declared.arms or plan.arms) if pair[1] in plan.arms]
    if declared.selections:
        return {"base": [], "cells": [_swept(plan, task, arm) for task, arm in pairs if plan.arm(arm).grid]}
    return {
        "base": [_base(plan, declared, None, seed, plan.base_of(seed)) for seed in plan.seeds],
        "cells": [_cell(plan, declared, task, arm, plan.finals("table5", task, arm)) for task, arm in pairs],
        "candidates": _candidates(plan, pairs),
        "versions": _versions(plan) if "versions" in declared.measures else {},
    }


def _elsewhere(scale: Scale) -> dict[str, dict[str, str]]:
    """The verdicts of claims in other arithmetics, from the scale's record.

    Raises SdftError where it is missing or another file.
    """
    if scale.arithmetics is None:
        return {}
    remedy = "restore it, or remove `arithmetics` from the scale"
    if not Path(scale.arithmetics).is_file():
        raise SdftError(f"{scale.arithmetics}, a record of claims in several arithmetics, is not there; {remedy}.")
    record = read_json(scale.arithmetics, remedy)
    try:
        return {claim["id"]: dict(claim["verdicts"]) for claim in record["claims"]}
    except (KeyError, TypeError, ValueError) as error:
        raise SdftError(
            f"{scale.arithmetics} is no record of several arithmetics ({error!r}); make one with python -m "
            "benchmarks.arithmetics, or remove `arithmetics` from the scale."
        ) from None


def _versions(plan: Plan) -> dict[str, VersionEntry]:
    """The shorter versions of each test set."""
    return {
        task: VersionEntry(data=plan.data_path(task, "test"), rows=shorter)
        for task in plan.tasks
        if (rules := plan.scale.data.files(task))
        and (shorter := [rows for rows in rules.test_versions if rows < (rules.test_rows or 0)])
    }


def _sweeps(plan: Plan, declared: Declaration) -> list[SweepEntry]:
    """The grids and fixed settings of the arms whose sweeps the paper lists; none of a study that the scale lacks."""
    study = plan.scale.possible.get(declared.study) if declared.study else plan.scale
    arms, tasks = (study.arms, study.tasks) if study else ({}, [])
    found: dict[str, SweepEntry] = {}
    for arm, entry in arms.items():
        if entry.grid is not None and entry.method not in found:
            grid = entry.grid.model_dump(exclude_none=True)
            own = {task: plan.epochs(arm, task) for task in tasks}
            found[entry.method] = SweepEntry(
                arm=arm,
                method=entry.method,
                grid=grid,
                task_epochs={task: values for task, values in own.items() if values != grid["epochs"]},
                settings=plan.config.settings_of(plan.name, arm).model_dump(mode="json"),
            )
    return list(found.values())


def _study(plan: Plan, declared: Declaration, entry: Study) -> dict[str, Any]:
    cells = [
        _cell(plan, declared, task, arm, plan.shared(declared.study, task, arm))
        for task, arm in product(entry.tasks, entry.share)
    ]
    if entry.orders:
        for order, arm in product(entry.orders, entry.arms):
            chains = [plan.stages(arm, order, seed) for seed in plan.study_seeds(declared.study)]
            for stage, task in enumerate(order):
                runs = [chain[stage] for chain in chains]
                cells.append(_cell(plan, declared, task, arm, runs, order=order, stage=stage))
    else:
        for task, arm in product(entry.tasks, entry.arms):
            cells.append(_cell(plan, declared, task, arm, plan.finals(declared.study, task, arm)))
    bases = _bases(plan, declared.study, entry)
    sizes = dict.fromkeys(_size(plan, model) for _, model, _ in bases)
    return {
        "base": [_base(plan, declared, entry, *base) for base in bases],
        "cells": sorted(cells, key=lambda cell: _rank(cell.size)),
        "contexts": [
            ContextEntry(
                task=task,
                context=context,
                size=size,
                runs=[
                    _in_context(plan, declared, entry, task, context, *base)
                    for base in bases
                    if _size(plan, base[1]) == size
                ],
            )
            for task, context, size in product(entry.tasks, entry.contexts, sizes)
        ],
        "candidates": _candidates(plan, product(entry.tasks, (*entry.share, *entry.arms))),
    }


def _bases(plan: Plan, study: str, entry: Study) -> list[tuple[int, str, str]]:
    """Seed, name and later draw of every base model of a study: the scale's, where some arm starts from them, and its
    arms' own."""
    found = []
    seeds = plan.study_seeds(study)
    if entry.share or not all(arm.models for arm in entry.arms.values()):
        draws = {seed: plan.later_draw(study, seed) for seed in seeds}
        found += [(seed, plan.base_of(seed), draws.get(seed, "")) for seed in (*plan.seeds, *seeds)]
    for name, arm in entry.arms.items():
        if arm.models:
            found += [(seed, plan.base_of(seed, name), plan.later_draw(study, seed, name)) for seed in seeds]
    return list(dict.fromkeys(found))


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


def _base(plan: Plan, declared: Declaration, entry: Study | None, seed: int, model: str, draw: str = "") -> BaseEntry:
    found: dict[str, Any] = {"scores": plan.base_scores_folder(model)}
    where = _where(entry, entry.tasks[0], NO_CONTEXT, model, draw) if entry else {}
    # A model that Table 5 does not have is measured on the study's task alone, and so is each on another split, or on
    # facts that are not its own.
    here = entry is None or (set(entry.tasks) <= set(plan.tasks) and model in plan.bases and entry.split == "test")
    if entry and (draw or not here):
        found = {"scores": plan.context_scores_folder(**where), "task": entry.tasks[0]}
    if "passk" in declared.measures and model in plan.bases:
        found["passk"] = plan.path(paths.BASE_PASSK, **where)
    return BaseEntry(seed=seed, model=model, size=_size(plan, model), draw=draw, **found)


def _where(entry: Study, task: str, context: str, model: str, draw: str) -> dict[str, str]:
    return {"task": task, "context": context, "split": entry.split, "model": model, "draw": draw}


def _in_context(
    plan: Plan, declared: Declaration, entry: Study, task: str, context: str, seed: int, model: str, draw: str
) -> BaseEntry:
    where = _where(entry, task, context, model, draw)
    measured = "divergence" in declared.measures
    return BaseEntry(
        seed=seed,
        model=model,
        task=task,
        draw=draw,
        scores=plan.context_scores_folder(**where),
        divergence=plan.path(paths.BASE_DIVERGENCE, **where) if measured else None,
    )


def _cell(plan: Plan, declared: Declaration, task: str, arm: str, runs: list[RunSpec], **place: Any) -> CellEntry:
    chosen = plan.arm(arm)
    return CellEntry(
        task=task,
        arm=arm,
        method=chosen.method,
        size=_size(plan, runs[0].base),
        selected=plan.selected_path(task, chosen.like or arm),
        runs=[_run(plan, declared, run) for run in runs],
        **place,
    )


def _swept(plan: Plan, task: str, arm: str) -> CellEntry:
    """A cell with its selection and without runs."""
    return CellEntry(task=task, arm=arm, method=plan.arm(arm).method, selected=plan.selected_path(task, arm), runs=[])


def _run(plan: Plan, declared: Declaration, run: RunSpec) -> RunEntry:
    where = {"study": run.study, "run": run.id}
    files = {"trajectory": plan.path(paths.TRAJECTORY, measured=declared.study, **where)}
    if run.study == "table5":
        templates = {"passk": paths.RUN_PASSK, "divergence": paths.RUN_DIVERGENCE, "flops": paths.FLOPS}
        files |= {kind: plan.path(template, **where) for kind, template in templates.items()}
    return RunEntry(
        run=run.id,
        base=run.base,
        seed=run.seed,
        scores=plan.scores_folder(run),
        draw=run.draw,
        model=plan.model_path(run),
        **{kind: path for kind, path in files.items() if kind in declared.measures},
    )


def files(plan: Plan, name: str) -> list[str]:
    """Every result that a table or figure is made from; none where its study is switched off."""
    return made_from(plan, exhibit(plan, name))


def made_from(plan: Plan, found: Exhibit) -> list[str]:
    """Every result behind a table or figure as it was declared."""
    return list(dict.fromkeys(_files(plan, found))) if found.enabled else []


def _files(plan: Plan, found: Exhibit) -> Iterator[str]:
    for model in found.base:
        if model.task is None:
            yield from plan.base_score_files(model.model)
        else:
            yield from paths.scores(model.scores, *tested(model.task))
        yield from model.files.values()
    for cell in found.cells:
        yield from filter(None, [cell.selected])
        for run in cell.runs:
            yield from plan.score_files(run.scores, list(tested(cell.task)))
            yield from filter(None, [run.model])
            yield from run.files.values()
    for shown in found.contexts:
        for model in shown.runs:
            yield from paths.scores(model.scores, *tested(shown.task))
            yield from model.files.values()
    yield from (entry.path for entry in found.candidates)
    yield from filter(None, [found.estimators, *found.gate])
    yield from (entry.data for entry in found.versions.values())


def _candidates(plan: Plan, pairs: Iterable[tuple[str, str]]) -> list[CandidateEntry]:
    return [
        CandidateEntry(task=task, arm=arm, path=plan.validation_path(run))
        for task, arm in pairs
        for run in plan.candidates(task, arm)
    ]
