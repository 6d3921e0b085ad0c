"""Scores of evaluated models, as evaluations write them: a value a benchmark, and an outcome an item."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from sdft.common.errors import SdftError
from sdft.common.files import parse_json, rows_sha256
from sdft.common.schema import first_problem, read_checked
from sdft.evidence import files


@dataclass(frozen=True)
class Score:
    """One model on one benchmark: the value in [0, 1], and an outcome an item, sorted by item id.

    The mean of `outcomes` is `value` exactly. Where the metric is a ratio (items carry a `weight`, such as the number
    of instructions in an IFEval prompt) they are linearised, value + weight / mean weight * (correct - value), so that
    their spread is the ratio's. `fields` holds further numbers of each item (FIELDS) in the same order, where all items
    have them, and `order` the position of each item in the order of the evaluation; `clusters` names what each item is
    about, None where the items do not say. `metric` is the name of what was measured, None where the file does not say.
    `judges` is what a judged score says of its judges: their names and, of two, Cohen's kappa.
    """

    value: float
    ids: tuple[str, ...]
    outcomes: np.ndarray
    manifest: dict[str, Any]
    fields: dict[str, np.ndarray]
    order: tuple[int, ...]
    clusters: tuple[str, ...] | None = None
    metric: str | None = None
    judges: dict[str, Any] = field(default_factory=dict)


# What an item may carry beside `correct`: a second, milder rule of scoring, and the response's length in tokens.
# And where a model judged it, what the offline judge had said.
FIELDS = ("lenient", "new_tokens", "offline")


# How far a stored value may lie from the mean of its items' outcomes: sums of floats in another order.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Item:
    """One test item's outcome as an evaluation wrote it."""

    id: str
    correct: float
    weight: float
    fields: dict[str, float]
    cluster: str | None = None


@dataclass(frozen=True)
class Responses:
    """One benchmark's items in the order of the file, and the SHA-256 of their rows."""

    items: list[Item]
    sha256: str


class Scores:
    """The scores in one folder, read when they are first asked for. The folder may not exist (yet)."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._read: dict[str, Score] = {}

    @cached_property
    def _responses(self) -> dict[str, Responses]:
        return _read_responses(self.folder / "responses.jsonl.gz")

    def __getitem__(self, benchmark: str) -> Score:
        if benchmark not in self._read:
            path = self.folder / f"{benchmark}.json"
            record = read_checked(path, files.Score, _remedy(path))
            self._read[benchmark] = _read_score(path, record, self._responses.get(benchmark, Responses([], "")))
        return self._read[benchmark]

    def __contains__(self, benchmark: str) -> bool:
        return (self.folder / f"{benchmark}.json").exists()

    def manifests(self) -> list[dict[str, Any]]:
        """Manifests of the scores that were read."""
        return [score.manifest for score in self._read.values()]


def _corrupt(path: Path, what: str) -> SdftError:
    return SdftError(f"{path} {what}; {_remedy(path)}.")


def _remedy(path: Path) -> str:
    return f"delete {path.parent} and run the same command again to evaluate that model anew"


def _read_responses(path: Path) -> dict[str, Responses]:
    found: dict[str, list[Item]] = {}
    rows: dict[str, list[dict[str, Any]]] = {}
    if not path.is_file():
        raise _corrupt(path, "is missing although the scores beside it exist")
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                number += 1
                item = parse_json(line)
                read = files.Outcome.model_validate(item)
                fields = {name: float(item[name]) for name in FIELDS if item.get(name) is not None}
                kept = Item(str(read.id), read.correct, read.weight, fields, item.get("cluster"))
                found.setdefault(read.benchmark, []).append(kept)
                rows.setdefault(read.benchmark, []).append(item)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise _corrupt(path, f"is truncated or damaged after line {number} ({error})") from None
    except ValidationError as error:
        raise _corrupt(path, f"line {number} is not an item's outcome ({first_problem(error)})") from None
    except ValueError as error:
        raise _corrupt(path, f"line {number} is not an item's outcome ({error})") from None
    return {name: Responses(items, rows_sha256(rows[name])) for name, items in found.items()}


def _read_score(path: Path, record: dict[str, Any], responses: Responses) -> Score:
    items = responses.items
    value, count, benchmark = float(record["value"]), record["n"], record.get("benchmark")
    if benchmark not in (None, path.stem):
        raise _corrupt(path, f"holds the score of {benchmark!r}")
    if count != len(items):
        raise _corrupt(path, f"counts {count} items but responses.jsonl.gz beside it has {len(items)} of them")
    if record.get("responses_sha256") not in (None, responses.sha256):
        raise _corrupt(path, "was made from other responses than those in responses.jsonl.gz beside it")
    order = sorted(range(len(items)), key=lambda k: items[k].id)
    items = [items[k] for k in order]
    ids = tuple(item.id for item in items)
    if len(set(ids)) != len(ids) or not ids:
        raise _corrupt(path, "has no items, or an item twice, in responses.jsonl.gz beside it")
    correct, weight = np.array([item.correct for item in items]), np.array([item.weight for item in items])
    ratio = float((weight * correct).sum() / weight.sum())
    outcomes = correct if (weight == weight[0]).all() else ratio + weight / weight.mean() * (correct - ratio)
    if not abs(value - ratio) <= ROUNDING:
        raise _corrupt(path, f"has the value {value:g}, but the outcomes in responses.jsonl.gz give {ratio:g}")
    fields = {
        name: np.array([item.fields[name] for item in items])
        for name in FIELDS
        if all(name in item.fields for item in items)
    }
    manifest, metric, metrics = record.get("manifest") or {}, record.get("metric"), record.get("metrics") or {}
    judges = {**(metrics.get("judge") or {}), "kappa": metrics.get("kappa")}
    clusters = None if any(item.cluster is None for item in items) else tuple(str(item.cluster) for item in items)
    return Score(value, ids, outcomes, manifest, fields, tuple(order), clusters, metric, judges)
