"""Seconds of a job: a line fitted on measured jobs of its kind, an assumption until there are three."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sdft.common.errors import SdftError
from sdft.common.files import read_json
from sdft.study.forecast.assumptions import assumptions, by_phases, setting_of, training_costs
from sdft.study.forecast.jobs import Job, jobs, units_of
from sdft.study.plan import Plan, RunSpec


@dataclass(frozen=True)
class Fit:
    """seconds = start + per_unit * units for one kind of job, and how wrong it is.

    n: measured jobs behind it, 0 for an assumption; error: median relative error, each job forecast from the others.
    """

    start: float
    per_unit: float
    n: int
    error: float


def fit(kind: str, measured: Sequence[tuple[float, float]], setting: str) -> Fit:
    """The cost of a kind of job from (units, seconds) of measured ones; an assumption where there are fewer than three.

    Least squares with both coefficients at least zero.
    """
    if len(measured) < 3:
        assumed = assumptions()[setting]
        start = per_unit = 0.0
        name, _, method = kind.partition(":")
        if by_phases(setting) and name not in ("evaluation", "measure"):
            # The units are seconds already.
            return Fit(assumed["phases"]["start"], 1.0, 0, assumed["factor"] - 1)
        if name == "candidate":
            parts = [training_costs(assumed, method), assumed["validation"]]
        elif name == "measure":
            # As many evaluations as the measure is worth.
            times = assumptions()["measures"][method]
            parts = [{"start": assumed["evaluation"]["start"], "per_unit": times * assumed["evaluation"]["per_unit"]}]
        else:
            parts = [assumed["evaluation"] if kind == "evaluation" else training_costs(assumed, kind)]
        start = sum(part["start"] for part in parts)
        per_unit = parts[0]["per_unit"]
        if name == "candidate":
            # The validation of a candidate is one unit, whatever it was trained on.
            start += parts[1]["per_unit"]
        return Fit(start, per_unit, 0, assumed["factor"] - 1)
    errors = []
    for number, (units, seconds) in enumerate(measured):
        others = [*measured[:number], *measured[number + 1 :]]
        start, per_unit = _line(others)
        errors.append(abs(start + per_unit * units - seconds) / seconds)
    return Fit(*_line(measured), len(measured), statistics.median(errors))


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    xs, ys = zip(*points, strict=True)
    mean_x, mean_y = statistics.fmean(xs), statistics.fmean(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
    if slope <= 0:
        return mean_y, 0.0
    start = mean_y - slope * mean_x
    return (start, slope) if start >= 0 else (0.0, sum(x * y for x, y in points) / sum(x * x for x in xs))


def forecast(
    plan: Plan, target: str = "table5", everything: Sequence[Job] | None = None
) -> tuple[list[Job], dict[str, Fit]]:
    """The target's jobs with their forecast seconds, and the fit of each kind.

    everything: the jobs of the target "all", where they are known.
    """
    everything = jobs(plan, "all") if everything is None else everything
    found = everything if target == "all" else jobs(plan, target)
    measured = defaultdict(list)
    every = {job.output: job for job in (*found, *everything)}
    for job in every.values():
        if job.seconds:
            measured[job.kind].append((job.units, job.seconds))
    for kind, points in measured_elsewhere(plan, set(every)).items():
        measured[kind] += points
    fits = {kind: fit(kind, measured[kind], setting_of(plan)) for kind in dict.fromkeys(job.kind for job in found)}
    return [replace(job, forecast=fits[job.kind].start + fits[job.kind].per_unit * job.units) for job in found], fits


def measured_elsewhere(plan: Plan, known: set[str]) -> dict[str, list[tuple[float, float]]]:
    """(units, seconds) by kind of finished runs under the scale's results that the target's plan does not name.

    Runs of another sweep, study or older configuration cost what they cost. A file that says too little is passed by.
    """
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    root = Path(plan.root)
    for path in sorted((*root.glob("sweep/*/*/*/validation.json"), *root.glob("runs/*/*/model.json"))):
        if str(path) in known:
            continue
        try:
            record = read_json(path)
            final = path.name == "model.json"
            run = RunSpec.model_validate(record["run"] if final else read_json(path.with_name("run.json")))
            units = units_of(plan, run, record["steps"])
            seconds = record["manifest"]["seconds"]
        except (KeyError, TypeError, AttributeError, ValueError, SdftError):
            continue
        if units and seconds:
            found[run.method if final else f"candidate:{run.method}"].append((units, seconds))
    return found


@dataclass(frozen=True)
class Comparison:
    """What finished jobs of one kind took, and what they were forecast at, each from the others alone, in seconds."""

    kind: str
    n: int
    actual: float
    forecast: float
    origin: str


def comparisons(found: Sequence[Job], setting: str) -> list[Comparison]:
    """Forecast against actual of the finished jobs, by kind.

    A job is forecast from the other measured ones of its kind, as it would have been just before it ran; from the
    declared assumption where there are fewer than three of those.
    """
    groups = defaultdict(list)
    for job in found:
        if job.seconds:
            groups[job.kind].append(job)
    result = []
    for kind, group in groups.items():
        points = [(job.units, job.seconds) for job in group]
        fits = [fit(kind, [*points[:place], *points[place + 1 :]], setting) for place in range(len(points))]
        expected = sum(one.start + one.per_unit * units for one, (units, _) in zip(fits, points, strict=True))
        origin = "the others" if fits[0].n else "the assumption"
        result.append(Comparison(kind, len(group), sum(job.seconds for job in group), expected, origin))
    return result
