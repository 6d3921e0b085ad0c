"""Outcomes of evaluated models, read back from results/{scale}/scores and aligned by item and seed."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sdft.common.errors import SdftError
from sdft.common.files import read_json


@dataclass(frozen=True)
class Score:
    """One model on one benchmark: the value in [0, 1], and an outcome an item, sorted by item id.

    The mean of `outcomes` is `value` exactly. Where the metric is a ratio (items carry a `weight`, such as the number
    of instructions in an IFEval prompt) they are linearised, value + weight / mean weight * (correct - value), so that
    their spread is the ratio's. `shift` is what had to be added where the metric is no mean of the items' outcomes.
    `fields` holds further numbers of each item (FIELDS) in the same order, where all items have them, and `order` the
    position of each item in the order of the evaluation. `metric` is the name of what was measured, None where the file
    does not say. `judges` is what a judged score says of its judges: their names and, of two, Cohen's kappa.
    """

    value: float
    ids: tuple[str, ...]
    outcomes: np.ndarray
    shift: float
    manifest: dict[str, Any]
    fields: dict[str, np.ndarray]
    order: tuple[int, ...]
    metric: str | None = None
    judges: dict[str, Any] = field(default_factory=dict)


# What an item may carry beside `correct`: a second, milder rule of scoring, and the response's length in tokens.
# And where a model judged it, what the offline judge had said.
FIELDS = ("lenient", "new_tokens", "offline")


@dataclass(frozen=True)
class Item:
    """One test item's outcome as an evaluation wrote it."""

    id: str
    correct: float
    weight: float
    fields: dict[str, float]


class Scores:
    """The scores in one folder, read when they are first asked for. The folder may not exist (yet)."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._read: dict[str, Score] = {}

    @cached_property
    def _responses(self) -> dict[str, list[Item]]:
        return _read_responses(self.folder / "responses.jsonl.gz")

    def __getitem__(self, benchmark: str) -> Score:
        if benchmark not in self._read:
            path = self.folder / f"{benchmark}.json"
            record = read_json(path)
            self._read[benchmark] = _read_score(path, record, self._responses.get(benchmark, []))
        return self._read[benchmark]

    def __contains__(self, benchmark: str) -> bool:
        return (self.folder / f"{benchmark}.json").exists()

    def manifests(self) -> list[dict[str, Any]]:
        """Manifests of the scores that were read."""
        return [score.manifest for score in self._read.values()]


@dataclass(frozen=True)
class Run:
    """An evaluated model of one seed. `model` is its model.json, for the cost of training, where the plan names it.

    `files` are further measurements of the model that the plan names (MEASUREMENTS), whether they exist or not.
    """

    name: str
    seed: int
    scores: Scores
    model: Path | None = None
    files: dict[str, Path] = field(default_factory=dict)

    @cached_property
    def _measured(self) -> dict[str, dict[str, Any]]:
        return {kind: read_json(path) for kind, path in self.files.items() if path.exists()}

    def measurement(self, kind: str) -> dict[str, Any] | None:
        """The content of one of `files`, None where the plan does not name it or it does not exist (yet)."""
        return self._measured.get(kind)

    def manifests(self) -> list[dict[str, Any]]:
        """Manifests of the run's training and of its scores that were read, each process once."""
        found = [read_json(self.model).get("manifest")] if self.model and self.model.exists() else []
        found += self.scores.manifests()
        # One evaluation writes several files that share a manifest; it must not be paid for several times.
        return list({json.dumps(entry, sort_keys=True): entry for entry in found if entry}.values())


MEASUREMENTS = ("trajectory", "passk", "divergence", "flops")


@dataclass(frozen=True)
class Cell:
    """All runs of one arm on one task (or of the base models), in the order of their seeds.

    `size` names the base model's size, `order` and `stage` the place in a sequence of tasks, `context` the style of the
    demonstration that an untrained model sees; each is None where it does not apply.
    """

    task: str
    arm: str
    method: str
    runs: tuple[Run, ...]
    selected: Path | None = None
    label: str | None = None
    size: str | None = None
    order: tuple[str, ...] | None = None
    stage: int | None = None
    context: str | None = None

    @property
    def distinct(self) -> Cell:
        """The same cell with each model once, where seeds share an untrained model."""
        return replace(self, runs=tuple({run.name: run for run in reversed(self.runs)}.values())[::-1])

    def done(self, benchmarks: Sequence[str]) -> list[Run]:
        """The runs that have every one of the benchmarks."""
        return [run for run in self.runs if all(name in run.scores for name in benchmarks)]


def _corrupt(path: Path, what: str) -> SdftError:
    return SdftError(f"{path} {what}; delete {path.parent} and run the same command again to evaluate that model anew.")


def _read_responses(path: Path) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    if not path.exists():
        raise _corrupt(path, "is missing although the scores beside it exist")
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                number += 1
                item = json.loads(line)
                correct, weight = float(item["correct"]), float(item.get("weight", 1.0))
                if not (0 <= correct <= 1 and 0 < weight < math.inf):
                    raise ValueError(f"correct is {correct} and weight {weight}")
                fields = {name: float(item[name]) for name in FIELDS if item.get(name) is not None}
                found.setdefault(item["benchmark"], []).append(Item(str(item["id"]), correct, weight, fields))
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise _corrupt(path, f"is truncated or damaged after line {number} ({error})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise _corrupt(path, f"line {number} is not an item's outcome ({error!r})") from None
    return found


def _read_score(path: Path, record: dict[str, Any], items: list[Item]) -> Score:
    try:
        value, count = float(record["value"]), int(record["n"])
    except (KeyError, TypeError, ValueError) as error:
        raise _corrupt(path, f"lacks a usable field ({error!r})") from None
    if not 0 <= value <= 1:
        raise _corrupt(path, f"has the value {value}, which is no fraction in [0, 1]")
    if count != len(items):
        raise _corrupt(path, f"counts {count} items but responses.jsonl.gz beside it has {len(items)} of them")
    order = sorted(range(len(items)), key=lambda k: items[k].id)
    items = [items[k] for k in order]
    ids = tuple(item.id for item in items)
    if len(set(ids)) != len(ids) or not ids:
        raise _corrupt(path, "has no items, or an item twice, in responses.jsonl.gz beside it")
    correct, weight = np.array([item.correct for item in items]), np.array([item.weight for item in items])
    ratio = float((weight * correct).sum() / weight.sum())
    outcomes = correct if (weight == weight[0]).all() else ratio + weight / weight.mean() * (correct - ratio)
    shift = value - ratio
    if abs(shift) < 1e-9:
        shift = 0.0
    fields = {
        name: np.array([item.fields[name] for item in items])
        for name in FIELDS
        if all(name in item.fields for item in items)
    }
    manifest, metric, metrics = record.get("manifest") or {}, record.get("metric"), record.get("metrics") or {}
    judges = {**(metrics.get("judge") or {}), "kappa": metrics.get("kappa")}
    return Score(value, ids, outcomes + shift, shift, manifest, fields, tuple(order), metric, judges)


def matrix(runs: Sequence[Run], benchmark: str) -> np.ndarray:
    """Outcomes [seeds, items] of finished runs. Raises SdftError when two runs saw different items."""
    first = runs[0].scores
    for run in runs:
        if run.scores[benchmark].ids != first[benchmark].ids:
            raise SdftError(
                f"{run.scores.folder} and {first.folder} were not evaluated on the same items of {benchmark}, so they "
                "cannot be paired; delete the older of the two and run the same command again."
            )
    return np.stack([run.scores[benchmark].outcomes for run in runs])


def paired(cells: Sequence[Cell], benchmarks: Sequence[str]) -> tuple[list[int], list[list[np.ndarray]]] | None:
    """Outcomes of several cells on the seeds that all of them have finished.

    Returns the seeds and, for each cell, a [seeds, items] matrix a benchmark; None where no seed is common. Raises
    SdftError when the cells saw different items.
    """
    finished = [{run.seed: run for run in cell.done(benchmarks)} for cell in cells]
    seeds = sorted(set.intersection(*map(set, finished)))
    if not seeds:
        return None
    chosen = [[runs[seed] for seed in seeds] for runs in finished]
    for name in benchmarks:
        matrix([runs[0] for runs in chosen], name)
    return seeds, [[matrix(runs, name) for name in benchmarks] for runs in chosen]


@dataclass(frozen=True)
class Study:
    """The plan of one item of the paper: base models, cells, untrained models with a context, and what else it names.

    `enabled` is false for a study that is switched off; `cost_hours` is then what it would cost in device-hours.
    `extra` keeps the plan's other keys, which a single item reads.
    """

    table: str
    scale: str
    tolerance: dict[str, float]
    base: tuple[Run, ...]  # one a seed; seeds may share a base model
    cells: tuple[Cell, ...]
    candidates: tuple[dict[str, str], ...]
    teachers: tuple[Cell, ...] = ()
    bases: dict[str | None, tuple[Run, ...]] = field(default_factory=dict)  # by size
    enabled: bool = True
    cost_hours: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    gate: tuple[Path, ...] = ()  # what the gates of the base models found, where they have one

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(cell.task for cell in self.cells))

    def base_cell(self, task: str, distinct: bool = False, size: str | None = None) -> Cell:
        """The base models as a cell, one run a seed; `distinct` keeps each base model once."""
        base = self.bases.get(size, ()) if size else self.base
        runs = {run.name: run for run in reversed(base)}.values() if distinct else base
        return Cell(task, "base", "base", tuple(sorted(runs, key=lambda run: run.seed)), size=size)

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

    def teacher(self, task: str, size: str | None = None) -> Cell | None:
        """The untrained model that sees a demonstration or an article in its context."""
        return next(
            (cell for cell in self.teachers if cell.task == task and cell.context and size in (None, cell.size)), None
        )


def read_study(path: str | Path) -> Study:
    """Read a PLAN.json as the workflow writes it. Raises SdftError naming the missing field."""
    plan = read_json(path)

    folders: dict[str, Scores] = {}

    def run(entry: dict[str, Any], name: str, model: str | None = None) -> Run:
        scores = folders.setdefault(entry["scores"], Scores(entry["scores"]))
        files = {kind: Path(entry[kind]) for kind in MEASUREMENTS if entry.get(kind)}
        return Run(name, int(entry["seed"]), scores, Path(model) if model else None, files)

    try:
        cells = tuple(
            Cell(
                cell["task"],
                cell["arm"],
                cell["method"],
                tuple(run(entry, entry["run"], entry.get("model")) for entry in cell["runs"]),
                Path(cell["selected"]) if cell.get("selected") else None,
                label=cell.get("label"),
                size=cell.get("size"),
                order=tuple(cell["order"]) if cell.get("order") else None,
                stage=cell.get("stage"),
            )
            for cell in plan["cells"]
        )
        teachers = tuple(
            Cell(
                entry["task"],
                "teacher",
                "oracle_rag" if entry.get("context") == "article" else "teacher",
                tuple(run(one, one["model"]) for one in entry["runs"]),
                label=entry.get("label"),
                size=entry.get("size"),
                context=entry.get("context"),
            )
            for entry in plan.get("teachers", ())
        )
        seeds = {entry.seed for cell in (*cells, *teachers) for entry in cell.runs}

        def shared(runs: Sequence[Run]) -> list[Run]:
            """A single untrained model stands for every seed."""
            return [replace(runs[0], seed=seed) for seed in sorted({runs[0].seed, *seeds})]

        teachers = tuple(
            replace(cell, runs=tuple(shared(cell.runs))) if len(cell.runs) == 1 else cell for cell in teachers
        )
        bases: dict[str | None, list[Run]] = {}
        for entry in plan["base"]:
            bases.setdefault(entry.get("size"), []).append(run(entry, entry["model"]))
        for teacher in teachers:
            if teacher.context is None and teacher.size not in bases:
                bases[teacher.size] = list(teacher.runs)
        for size, runs in bases.items():
            if len(runs) == 1:
                bases[size] = shared(runs)
        return Study(
            table=plan["item"] if "item" in plan else plan["table"],
            scale=plan["scale"],
            tolerance=dict(plan.get("tolerance") or {}),
            base=tuple(bases.get(None) or next(iter(bases.values()), ())),
            cells=cells,
            candidates=tuple(plan.get("candidates", ())),
            teachers=teachers,
            bases={size: tuple(runs) for size, runs in bases.items()},
            enabled=plan.get("enabled", True),
            cost_hours=plan.get("cost_hours"),
            extra={name: plan[name] for name in ("sweeps", "estimators", "study", "versions") if name in plan},
            gate=tuple(map(Path, plan.get("gate", ()))),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SdftError(
            f"{path} is not a table's plan ({error!r} is missing or wrong); delete it and run the same command again, "
            "which writes it anew."
        ) from None
