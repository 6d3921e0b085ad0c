"""Outcomes of evaluated models, read back from results/{scale}/scores and aligned by item and seed."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sdft.errors import SdftError
from sdft.provenance import read_json


@dataclass(frozen=True)
class Score:
    """One model on one benchmark: the value in [0, 1], and an outcome an item, sorted by item id.

    The mean of `outcomes` is `value` exactly. Where the metric is a ratio (items carry a `weight`, such as the number
    of instructions in an IFEval prompt) they are linearised, value + weight / mean weight * (correct - value), so that
    their spread is the ratio's. `shift` is what had to be added where the metric is no mean of the items' outcomes.
    """

    value: float
    ids: tuple[str, ...]
    outcomes: np.ndarray
    shift: float
    manifest: dict[str, Any]


class Scores:
    """The scores in one folder, read when they are first asked for. The folder may not exist (yet)."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._read: dict[str, Score] = {}

    @cached_property
    def _responses(self) -> dict[str, list[tuple[str, float, float]]]:
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
    """An evaluated model of one seed. `model` is its model.json, for the cost of training, where the plan names it."""

    name: str
    seed: int
    scores: Scores
    model: Path | None = None

    def manifests(self) -> list[dict[str, Any]]:
        """Manifests of the run's training and of its scores that were read, each process once."""
        found = [read_json(self.model).get("manifest")] if self.model and self.model.exists() else []
        found += self.scores.manifests()
        # One evaluation writes several files that share a manifest; it must not be paid for several times.
        return list({json.dumps(entry, sort_keys=True): entry for entry in found if entry}.values())


@dataclass(frozen=True)
class Cell:
    """All runs of one arm on one task (or of the base models), in the order of their seeds."""

    task: str
    arm: str
    method: str
    runs: tuple[Run, ...]
    selected: Path | None = None

    def done(self, benchmarks: Sequence[str]) -> list[Run]:
        """The runs that have every one of the benchmarks."""
        return [run for run in self.runs if all(name in run.scores for name in benchmarks)]


def _corrupt(path: Path, what: str) -> SdftError:
    return SdftError(f"{path} {what}; delete {path.parent} and run the same command again to evaluate that model anew.")


def _read_responses(path: Path) -> dict[str, list[tuple[str, float, float]]]:
    found: dict[str, list[tuple[str, float, float]]] = {}
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
                found.setdefault(item["benchmark"], []).append((str(item["id"]), correct, weight))
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise _corrupt(path, f"is truncated or damaged after line {number} ({error})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise _corrupt(path, f"line {number} is not an item's outcome ({error!r})") from None
    return found


def _read_score(path: Path, record: dict[str, Any], items: list[tuple[str, float, float]]) -> Score:
    try:
        value, count = float(record["value"]), int(record["n"])
    except (KeyError, TypeError, ValueError) as error:
        raise _corrupt(path, f"lacks a usable field ({error!r})") from None
    if not 0 <= value <= 1:
        raise _corrupt(path, f"has the value {value}, which is no fraction in [0, 1]")
    if count != len(items):
        raise _corrupt(path, f"counts {count} items but responses.jsonl.gz beside it has {len(items)} of them")
    items = sorted(items)
    ids = tuple(name for name, _, _ in items)
    if len(set(ids)) != len(ids) or not ids:
        raise _corrupt(path, "has no items, or an item twice, in responses.jsonl.gz beside it")
    correct, weight = (np.array([item[k] for item in items]) for k in (1, 2))
    ratio = float((weight * correct).sum() / weight.sum())
    outcomes = correct if (weight == weight[0]).all() else ratio + weight / weight.mean() * (correct - ratio)
    shift = value - ratio
    if abs(shift) < 1e-9:
        shift = 0.0
    return Score(value, ids, outcomes + shift, shift, record.get("manifest") or {})


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
    """A table's plan: base models, cells, and what else it names."""

    table: str
    scale: str
    tolerance: dict[str, float]
    base: tuple[Run, ...]  # one a seed; seeds may share a base model
    cells: tuple[Cell, ...]
    candidates: tuple[dict[str, str], ...]

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(cell.task for cell in self.cells))

    def base_cell(self, task: str, distinct: bool = False) -> Cell:
        """The base models as a cell, one run a seed; `distinct` keeps each base model once."""
        runs = {run.name: run for run in reversed(self.base)}.values() if distinct else self.base
        return Cell(task, "base", "base", tuple(sorted(runs, key=lambda run: run.seed)))

    def cell(self, task: str, method: str) -> Cell | None:
        """The cell of a method's own arm (arm == method) on a task."""
        if method == "base":
            return self.base_cell(task)
        return next((cell for cell in self.cells if cell.task == task and cell.arm == cell.method == method), None)


def read_study(path: str | Path) -> Study:
    """Read a PLAN.json as the workflow writes it. Raises SdftError naming the missing field."""
    plan = read_json(path)

    folders: dict[str, Scores] = {}

    def run(entry: dict[str, Any], name: str, model: str | None = None) -> Run:
        scores = folders.setdefault(entry["scores"], Scores(entry["scores"]))
        return Run(name, int(entry["seed"]), scores, Path(model) if model else None)

    try:
        cells = tuple(
            Cell(
                cell["task"],
                cell["arm"],
                cell["method"],
                tuple(run(entry, entry["run"], entry.get("model")) for entry in cell["runs"]),
                Path(cell["selected"]) if cell.get("selected") else None,
            )
            for cell in plan["cells"]
        )
        base = [run(entry, entry["model"]) for entry in plan["base"]]
        if len(base) == 1:
            seeds = {base[0].seed, *(entry.seed for cell in cells for entry in cell.runs)}
            base = [replace(base[0], seed=seed) for seed in sorted(seeds)]
        return Study(
            table=plan["table"],
            scale=plan["scale"],
            tolerance=dict(plan.get("tolerance", {})),
            base=tuple(base),
            cells=cells,
            candidates=tuple(plan.get("candidates", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SdftError(
            f"{path} is not a table's plan ({error!r} is missing or wrong); delete it and run the same command again, "
            "which writes it anew."
        ) from None
