"""What was measured for a table or figure: the cells of its plan with the scores that are there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sdft.common.errors import SdftError
from sdft.common.files import read_json
from sdft.common.schema import read_checked
from sdft.evidence import files
from sdft.evidence.scores import Scores
from sdft.study.exhibits.schema import BaseEntry, Exhibit, RunEntry


@dataclass(frozen=True)
class Run:
    """An evaluated model of one seed. `model` is its model.json, for the cost of training, where the plan names it.

    `base` is the base model that it started from (itself, if untrained), None where the plan does not say. `draw` says
    which facts it was asked about, where they are not the base model's own. `files` are further measurements of the
    model that the plan names, by kind, whether they exist or not.
    """

    name: str
    seed: int
    scores: Scores
    base: str | None = None
    model: Path | None = None
    files: dict[str, Path] = field(default_factory=dict)
    draw: str = ""

    @cached_property
    def _measured(self) -> dict[str, dict[str, Any]]:
        return {kind: read_checked(path, files.MEASURES[kind]) for kind, path in self.files.items() if path.exists()}

    def measurement(self, kind: str) -> dict[str, Any] | None:
        """The content of one of `files`, None where the plan does not name it or it does not exist (yet)."""
        return self._measured.get(kind)

    def manifests(self) -> list[dict[str, Any]]:
        """Manifests of the run's training and of its scores that were read, each process once."""
        made = self.model is not None and self.model.exists()
        found = [read_checked(self.model, files.Model).get("manifest")] if made else []
        found += self.scores.manifests()
        # One evaluation writes several files that share a manifest; it must not be paid for several times.
        return list({json.dumps(entry, sort_keys=True): entry for entry in found if entry}.values())


@dataclass(frozen=True)
class Cell:
    """All runs of one arm on one task (or of the base models), in the order of their seeds.

    `size` names the base model's size, `order` and `stage` the place in a sequence of tasks; each is None where it does
    not apply.
    """

    task: str
    arm: str
    method: str
    runs: tuple[Run, ...]
    selected: Path | None = None
    size: str | None = None
    order: tuple[str, ...] | None = None
    stage: int | None = None

    @property
    def distinct(self) -> Cell:
        """The same cell with each model once, where seeds share an untrained model and its facts."""
        return replace(self, runs=tuple({(run.name, run.draw): run for run in reversed(self.runs)}.values())[::-1])

    def done(self, benchmarks: Sequence[str]) -> list[Run]:
        """The runs that have every one of the benchmarks."""
        return [run for run in self.runs if all(name in run.scores for name in benchmarks)]


@dataclass(frozen=True)
class Results:
    """A table's or figure's plan with the models behind it: base models, cells, and base models with a context."""

    exhibit: Exhibit
    base: tuple[Run, ...] = ()  # one a seed; seeds may share a base model
    cells: tuple[Cell, ...] = ()
    contexts: tuple[Cell, ...] = ()
    bases: dict[str | None, tuple[Run, ...]] = field(default_factory=dict)  # by size

    @property
    def scale(self) -> str:
        return self.exhibit.scale

    @property
    def enabled(self) -> bool:
        """False for a study that is switched off or cannot be run; `exhibit.absence` says why."""
        return self.exhibit.enabled

    @property
    def beside_paper(self) -> bool:
        """Whether the numbers stand beside the paper's and get verdicts against them."""
        return self.exhibit.evidence == "paper"

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(cell.task for cell in self.cells))

    def task(self, paper: str) -> str:
        """The first task of the study; where nothing is planned, the task that the paper asked it on."""
        return next(iter(self.tasks), paper)

    @cached_property
    def failed_checks(self) -> dict[str, list[str]]:
        """The benchmarks on which a base model misses its gate (sdft/study/gate.yaml), by model.

        None is missed where the numbers do not stand beside the paper's.
        """
        gates = [Path(path) for path in self.exhibit.gate if self.beside_paper]
        records = [read_checked(path, files.Gate) for path in gates if path.exists()]
        return {
            record["model"]: [check["benchmark"] for check in record["checks"] if not check["passed"]]
            for record in records
        }

    def missed(self, benchmarks: Iterable[str] | None = None, sizes: Iterable[str | None] = (None,)) -> str | None:
        """Why numbers on these benchmarks (None: on any) cannot be compared with the paper's.

        sizes: those of the base models behind the numbers. None where these models have no gate, or pass it.
        """
        models = dict.fromkeys(run.name for size in sizes for run in self.bases.get(size, self.base))
        wanted = None if benchmarks is None else set(benchmarks)
        found = []
        for model in models:
            names = [name for name in self.failed_checks.get(model, ()) if wanted is None or name in wanted]
            if names:
                found.append(f"The base model {model} misses its gate on {', '.join(names)}.")
        return " ".join(found) or None

    def base_cell(self, task: str, distinct: bool = False, size: str | None = None) -> Cell:
        """The base models as a cell, one run a seed; `distinct` keeps each base model and its facts once."""
        base = self.bases.get(size, ()) if size else self.base
        cell = Cell(task, "base", "base", tuple(sorted(base, key=lambda run: run.seed)), size=size)
        return cell.distinct if distinct else cell

    def reference(self, task: str) -> tuple[Cell, Cell] | None:
        """The base models that were asked about the facts that the runs have learnt; and all, for the benchmarks.

        None where nothing is run.
        """
        if not (self.base and self.enabled):
            return None
        learnt = {(run.base, run.draw) for cell in self.cells for run in cell.runs}
        base = self.base_cell(task, distinct=True)
        return replace(base, runs=tuple(run for run in base.runs if (run.base, run.draw) in learnt)), base

    def base_models(self, size: str | None = None) -> int:
        """How many base models of a size the plan starts from, run or not."""
        return len({run.name for run in self.bases.get(size, self.base)})

    def cell(self, task: str, method: str) -> Cell | None:
        """The cell of a method's own arm (arm == method) on a task."""
        if method == "base":
            return self.base_cell(task)
        return next((cell for cell in self.cells if cell.task == task and cell.arm == cell.method == method), None)

    def arm(self, arm: str, task: str | None = None, size: str | None = None) -> Cell | None:
        """The cell of an arm by its name, on any task or on the given one."""
        return next(
            (
                cell
                for cell in self.cells
                if cell.arm == arm and task in (None, cell.task) and size in (None, cell.size)
            ),
            None,
        )

    def in_context(self, task: str, size: str | None = None) -> Cell | None:
        """The base model that sees a demonstration or an article in its context."""
        return next((cell for cell in self.contexts if cell.task == task and size in (None, cell.size)), None)


def read_results(path: str | Path) -> Results:
    """The results behind a plan.json. Raises SdftError in one paragraph where the file is damaged."""
    record = read_json(path)
    try:
        exhibit = Exhibit.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise SdftError(
            f"{path} is not the plan of a table or figure ({place}: {first['msg']}); delete it and run the same "
            "command again, which writes it anew."
        ) from None
    return results_of(exhibit)


def results_of(exhibit: Exhibit) -> Results:
    """The models that an exhibit names. A single untrained model stands for every seed."""
    folders: dict[str, Scores] = {}

    def run(entry: RunEntry | BaseEntry) -> Run:
        trained = isinstance(entry, RunEntry)
        return Run(
            name=entry.run if trained else entry.model,
            seed=entry.seed,
            scores=folders.setdefault(entry.scores, Scores(entry.scores)),
            base=entry.base if trained else entry.model,
            model=Path(entry.model) if trained and entry.model else None,
            files={kind: Path(file) for kind, file in entry.files.items()},
            draw=entry.draw,
        )

    cells = tuple(
        Cell(
            task=entry.task,
            arm=entry.arm,
            method=entry.method,
            runs=tuple(map(run, entry.runs)),
            selected=Path(entry.selected) if entry.selected else None,
            size=entry.size,
            order=tuple(entry.order) if entry.order else None,
            stage=entry.stage,
        )
        for entry in exhibit.cells
    )
    seeds = {entry.seed for cell in (*exhibit.cells, *exhibit.contexts) for entry in cell.runs}

    def each_seed(entries: Iterable[BaseEntry]) -> tuple[Run, ...]:
        runs = tuple(map(run, entries))
        return tuple(replace(runs[0], seed=seed) for seed in sorted({runs[0].seed, *seeds})) if len(runs) == 1 else runs

    contexts = tuple(
        Cell(
            task=entry.task,
            arm="teacher",
            method="oracle_rag" if entry.context == "article" else "teacher",
            runs=each_seed(entry.runs),
            size=entry.size,
        )
        for entry in exhibit.contexts
    )
    sizes: dict[str | None, list[BaseEntry]] = {}
    for entry in exhibit.base:
        sizes.setdefault(entry.size, []).append(entry)
    bases = {size: each_seed(entries) for size, entries in sizes.items()}
    return Results(
        exhibit=exhibit,
        base=bases.get(None) or next(iter(bases.values()), ()),
        cells=cells,
        contexts=contexts,
        bases=bases,
    )
