"""Tables, figures, the ledger and the reports: what they are made of, and the files of a target."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from sdft.study import exhibits, paths
from sdft.study.exhibits.build import exhibit, files
from sdft.study.forecast import study_hours
from sdft.study.plan import Plan
from sdft.study.specs import SiteSpec, Unshown

# The tables and figures of each entry page; none means all.
SITES: dict[str, tuple[str, ...]] = {"report": ("table5", "figure4"), "results": ()}


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


def site_spec(plan: Plan, entry: str, target: str, **_: str) -> str:
    """What the pages behind an entry page show, as text for its plan: Table 5 and its figure, or everything."""
    shown = SITES[entry] or exhibits.names()
    unshown = [found for name in exhibits.names() if (found := _unshown(plan, name, shown))]
    command = f"snakemake --cores all {target} --config scale={plan.name}"
    out = {found.name for found in unshown}
    spec = SiteSpec(
        scale=plan.name,
        root=plan.root,
        entry=entry,
        command=command,
        evidence=plan.scale.evidence,
        notice=plan.scale.notice,
        shown=list(shown),
        unshown=unshown,
        hours={name: hours for name in shown if name not in out and (hours := _hours(plan, name))},
    )
    return spec.model_dump_json(indent=1, exclude_none=True)


def _hours(plan: Plan, name: str) -> float | None:
    """Device-hours of what the study of a table or figure trains and scores beside Table 5; None where it has none."""
    study = exhibits.find(name).study
    return round(study_hours(plan, study), 2) if study in plan.scale.possible else None


def _unshown(plan: Plan, name: str, shown: Sequence[str]) -> Unshown | None:
    """Why a table or figure is not shown; None where it is."""
    declared = exhibits.find(name)
    off = None if declared.study is None else plan.not_run(declared.study)
    if off is None and name in shown:
        return None
    return Unshown(
        name=name,
        title=declared.title,
        reason=off or "not asked for by this page's command",
        command=f"snakemake --cores all {name} --config scale={plan.name}",
        hours=_hours(plan, name),
    )


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
