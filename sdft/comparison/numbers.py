"""From scores to a comparison: values with intervals, paired differences, and what they say in a sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sdft.common.files import read_json
from sdft.evidence.kept import kept_share
from sdft.evidence.quantities import finite
from sdft.evidence.scores import Scores
from sdft.statistics import average_interval, holm, paired_difference

LEVEL = 0.95
QUANTITIES = {"new_task": "on the new task", "prior_average": "on prior capabilities"}


@dataclass(frozen=True)
class Subject:
    """A model that was scored: the folders of its scores and of its runs, seed by seed."""

    name: str
    title: str
    scores: list[Path]
    learning_rate: float | None = None
    runs: list[Path] = field(default_factory=list)


def numbers(subjects: list[Subject], task: str, benchmarks: list[str]) -> dict[str, Any]:
    """The rows and differences of a comparison, in percent; the first subject is the base model.

    An interval covers test items, and seeds where there are several. p-values of all differences between methods are
    adjusted by Holm's procedure together.
    """
    groups = {"new_task": [task], **({"prior_average": benchmarks} if benchmarks else {})}
    outcomes = {subject.name: _outcomes(subject, [task, *benchmarks]) for subject in subjects}
    base = subjects[0].name
    rows = []
    for subject in subjects:
        own = outcomes[subject.name]
        row = {
            "name": subject.name,
            "title": subject.title,
            "learning_rate": subject.learning_rate,
            "runs": list(map(str, subject.runs)),
            "scores": list(dict.fromkeys(map(str, subject.scores))),
            "seconds": [read_json(run / "model.json")["seconds"] for run in subject.runs],
            **{name: _value(own, parts) for name, parts in groups.items()},
            "benchmarks": {name: 100 * float(own[name].mean()) for name in benchmarks},
        }
        if benchmarks and subject.name != base:
            lost = [row["benchmarks"][name] - 100 * float(outcomes[base][name].mean()) for name in benchmarks]
            row["kept_within_1_point"] = kept_share(lost)
        rows.append(row)
    methods = [subject for subject in subjects if subject.name != base]
    pairs = [(one, other) for place, other in enumerate(methods) for one in methods[place + 1 :]]
    pairs += [(method, subjects[0]) for method in methods]
    differences = [
        _difference(outcomes, one, other, name, parts) for one, other in pairs for name, parts in groups.items()
    ]
    for entry, p in zip(differences, holm([entry["p"] for entry in differences]), strict=True):
        entry["p_holm"] = p
        entry["verdict"] = "undecided" if p >= 1 - LEVEL else "higher" if entry["difference"] > 0 else "lower"
    return {
        "answer": _answer(differences, methods),
        "benchmarks": benchmarks,
        "models": rows,
        "differences": differences,
    }


def _outcomes(subject: Subject, names: list[str]) -> dict[str, np.ndarray]:
    """Outcomes [seeds, items] of each benchmark."""
    read = {folder: Scores(folder) for folder in subject.scores}
    return {name: np.stack([read[folder][name].outcomes for folder in subject.scores]) for name in names}


def _value(outcomes: dict[str, np.ndarray], parts: list[str]) -> dict[str, Any]:
    # The same base model stands for every seed, and one model says nothing about others.
    matrices = [outcomes[name] for name in parts]
    if all((matrix == matrix[0]).all() for matrix in matrices):
        matrices = [matrix[:1] for matrix in matrices]
    found = average_interval(matrices, LEVEL).scaled(100)
    return {"mean": found.mean, "low": finite(found.low), "high": finite(found.high), "items": found.n_items}


def _difference(
    outcomes: dict[str, dict[str, np.ndarray]], one: Subject, other: Subject, name: str, parts: list[str]
) -> dict[str, Any]:
    sides = [[outcomes[subject.name][part] for part in parts] for subject in (one, other)]
    found = paired_difference(*sides, LEVEL, grouped=True).scaled(100)
    return {
        "quantity": name,
        "one": one.name,
        "other": other.name,
        "names": [one.title, other.title],
        "difference": found.mean,
        "low": finite(found.low),
        "high": finite(found.high),
        "p": found.p,
        "covers": found.sources,
    }


def _answer(differences: list[dict[str, Any]], methods: list[Subject]) -> str:
    """What came out, in a sentence a pair of methods."""
    said = []
    for entry in differences:
        if entry["other"] not in {method.name for method in methods}:
            continue
        one, other = entry["names"]
        where = QUANTITIES[entry["quantity"]]
        low, high = ("unbounded" if entry[end] is None else f"{entry[end]:+.1f}" for end in ("low", "high"))
        numbers = f"{entry['difference']:+.1f} points [{low}, {high}]"
        words = {
            "higher": f"{one} is better than {other} {where}: {numbers}.",
            "lower": f"{one} is worse than {other} {where}: {numbers}.",
            "undecided": f"{one} and {other} cannot be told apart {where}: {numbers}.",
        }
        said.append(words[entry["verdict"]])
    return " ".join(said) or "One method was trained; it is compared with the base model below."
