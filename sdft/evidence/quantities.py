"""What is measured of a model, as outcomes an item, and how two models are compared on it.

A `Quantity` names benchmarks and a field of their items; everything else here works on any of them: a cell's row with
its interval (percent, or tokens), and the paired difference of two cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sdft.common.errors import SdftError
from sdft.common.files import digest
from sdft.evidence.names import PRIOR, TASK_NAMES, UNITS
from sdft.evidence.outcomes import Cell, Run
from sdft.evidence.published import lookup
from sdft.evidence.rules import LEVEL
from sdft.statistics import (
    Interval,
    Outcomes,
    average_readings,
    counted,
    paired_readings,
    variance_components,
)
from sdft.tasks import find_task, results
from sdft.tasks.base import JUDGED_METRIC

# Said wherever answers that take a judge were scored without one, at a scale whose numbers stand beside the paper's.
OFFLINE = (
    "Medical and knowledge answers were scored by the offline judge, which looks for the reference in the response and "
    "knows no partly right answer; the paper's judge is a model, so these numbers are not comparable with its own."
)


@dataclass(frozen=True)
class Quantity:
    """A metric as the mean over `benchmarks` (test sets of equal weight) of a field of their items."""

    metric: str
    benchmarks: tuple[str, ...]
    field: str = "correct"

    @property
    def unit(self) -> str:
        return UNITS.get(self.metric, "percent")

    @property
    def factor(self) -> float:
        """From the items' unit to the table's."""
        return 100.0 if self.unit == "percent" else 1.0

    @property
    def difference_unit(self) -> str:
        return "percentage points" if self.unit == "percent" else self.unit


def quantity(metric: str, task: str) -> Quantity:
    """The quantity behind a column: new_task, prior_average, a prior benchmark, or one of the studies' own measures."""
    special = {
        "new_task": Quantity(metric, (task,)),
        "prior_average": Quantity(metric, PRIOR),
        "strict": Quantity(metric, (task,)),
        "lenient": Quantity(metric, (task,), "lenient"),
        "ood": Quantity(metric, (f"{task}_ood",)),
        "generated_tokens": Quantity(metric, (task,), "new_tokens"),
    }
    return special.get(metric) or Quantity(metric, (metric,))


def _outcomes(run: Run, benchmark: str, name: str) -> np.ndarray | None:
    score = run.scores[benchmark]
    return score.outcomes if name == "correct" else score.fields.get(name)


def done(cell: Cell, measured: Quantity) -> list[Run]:
    """The runs of a cell that have every benchmark, with the field in every item."""
    return [
        run
        for run in cell.done(measured.benchmarks)
        if all(_outcomes(run, name, measured.field) is not None for name in measured.benchmarks)
    ]


def offline(cells: Sequence[Cell], measured: Quantity) -> bool:
    """Whether the outcomes of some cell rest on the offline judge, at either of the task's splits."""
    names = [name for name in measured.benchmarks if name in results() and find_task(results()[name][0]).judged]
    if measured.field == "new_tokens":
        return False
    return any(
        run.scores[name].metric != JUDGED_METRIC for cell in cells for run in done(cell, measured) for name in names
    )


def agreement(cells: Sequence[Cell]) -> str:
    """How far two judges agree on the answers behind some cells, as a sentence; empty where no two judged them."""
    found: dict[tuple[str, str, str], dict[str, tuple[float, int]]] = {}
    for cell in cells:
        for run in cell.runs:
            for name in filter(run.scores.__contains__, (cell.task, f"{cell.task}_ood")):
                judges, n = run.scores[name].judges, len(run.scores[name].ids)
                if judges.get("kappa") is not None:
                    key = (name, judges.get("model", ""), judges.get("second_model", ""))
                    found.setdefault(key, {})[str(run.scores.folder)] = (judges["kappa"], n)
    said = []
    for (name, first, second), values in found.items():
        kappas = [f"{kappa:.2f}" for kappa, _ in (min(values.values()), max(values.values()))]
        counts = sorted({n for _, n in values.values()})
        task = TASK_NAMES[name.removesuffix("_ood")] + (" (indirect questions)" if name.endswith("_ood") else "")
        said.append(
            f"Cohen's kappa of the judges {first}, whose labels count, and {second} on {task}: "
            f"{' to '.join(dict.fromkeys(kappas))} (n = {'/'.join(map(str, counts))} answers, {len(values)} "
            f"model{'' if len(values) == 1 else 's'})."
        )
    return " ".join(said)


def labelled(
    values: Any, runs: Sequence[Run], clusters: Sequence[Sequence[str | None] | None] | None = None
) -> Outcomes:
    """Outcomes [runs, items] with the base model of each run, where the plan names it, and the cluster of each item.

    clusters: of each run's items, None where they are not known. Where runs differ in them, they answered test sets of
    their own. Raises SdftError where two runs of a base model differ that were asked about the same draw of facts, or
    two test sets in which places belong together.
    """
    bases = None if any(run.base is None for run in runs) else tuple(run.base for run in runs)
    values = np.asarray(values, dtype=float)
    if clusters is None or any(own is None or None in own for own in clusters):
        return Outcomes(values, bases)
    found = [tuple(own) for own in clusters]
    places = {own: tuple(str(own.index(name)) for name in own) for own in dict.fromkeys(found)}
    first = places[found[0]]
    if len(places) == 1:
        return Outcomes(values, bases, first)
    names = {own: digest(own) for own in places}
    asked = [(run.base, run.draw) for run in runs]
    if bases is None or set(places.values()) != {first} or len(set(zip(asked, found, strict=True))) > len(set(asked)):
        raise SdftError(_different(runs[0]))
    return Outcomes(values, bases, first, tuple(names[own] for own in found))


def _different(run: Run) -> str:
    return (
        f"{run.scores.folder} and others beside it were evaluated on different questions, so they cannot be compared; "
        "delete the older ones and run the same command again."
    )


def groups(runs: Sequence[Run], measured: Quantity) -> list[Outcomes]:
    """[runs, items] outcomes a benchmark. Raises SdftError when two runs saw different items."""
    first = runs[0].scores
    for run in runs:
        for benchmark in measured.benchmarks:
            if run.scores[benchmark].ids != first[benchmark].ids:
                raise SdftError(
                    f"{run.scores.folder} and {first.folder} were not evaluated on the same items of {benchmark}, so "
                    "they cannot be paired; delete the older of the two and run the same command again."
                )
    return [
        labelled(
            [_outcomes(run, name, measured.field) for run in runs], runs, [run.scores[name].clusters for run in runs]
        )
        for name in measured.benchmarks
    ]


def _check_questions(runs: Sequence[Run], measured: Quantity) -> None:
    """Raise SdftError unless runs of one seed have the same items, and those of one base model the same questions."""
    groups(runs, measured)
    for base in {run.base for run in runs}:
        own = [run for run in runs if run.base == base]
        if any(group.sets for group in groups(own, measured)):
            raise SdftError(_different(own[0]))


def measured_row(item: str | None, cell: Cell, measured: Quantity) -> dict[str, Any]:
    """A cell's row for one quantity beside the paper's number of `item`, in the table's unit; without a verdict."""
    printed = lookup(item, cell.task, cell.method, measured.metric) if item and item_prints(item, cell) else None
    runs = done(cell, measured)
    row: dict[str, Any] = {
        "task": cell.task,
        "method": cell.method,
        "arm": cell.arm,
        "metric": measured.metric,
        "published": printed.value if printed else None,
        "published_place": f"{printed.place} ({printed.version})" if printed else None,
        "published_note": printed.note if printed else None,
        "mean": None,
        "low": None,
        "high": None,
        "width": None,
        "n_seeds": len(runs),
        "n_items": 0,
        "sd_seeds": None,
        "by_seed": [],
        "seeds": [run.seed for run in runs],
        "covers": "none",
        "bases": [],
        "reading": None,
        "readings": {},
        "runs": [run.name for run in runs],
        "not_run": [run.name for run in cell.runs if run not in runs],
        "notes": [],
    }
    if runs:
        outcomes = groups(runs, measured)
        by_seed = measured.factor * np.mean([group.mean(axis=1) for group in outcomes], axis=0)
        by_seed = [round(float(value), 3) for value in by_seed]
        readings = average_readings(outcomes, LEVEL)
        top = 100.0 if measured.unit == "percent" else math.inf
        interval = counted(readings).scaled(measured.factor)
        shown = within(interval, 0.0, top)
        row |= {
            "mean": round(interval.mean, 3),
            "low": finite(shown.low),
            "high": finite(shown.high),
            "width": finite(interval.high - interval.low),
            "n_items": interval.n_items,
            "sd_seeds": round(float(np.std(by_seed, ddof=1)), 3) if len(by_seed) > 1 else None,
            "by_seed": by_seed,
            "covers": interval.sources,
            "bases": list(outcomes[0].bases or ()),
            "reading": interval.reading,
            "readings": {
                name: {"low": finite(cut.low), "high": finite(cut.high), "n_bases": cut.n_bases}
                for name, found in readings.items()
                for cut in [within(found.scaled(measured.factor), 0.0, top)]
            },
            "standard_error": round(math.hypot(interval.se_seeds, interval.se_items), 4),
        }
        if row["not_run"]:
            row["notes"].append(f"{len(row['not_run'])} of {len(cell.runs)} seeds not run")
    return row


KEPT = ("mean", "low", "high", "by_seed", "seeds", "n_seeds", "n_items", "runs")


def point(row: dict[str, Any]) -> dict[str, Any] | None:
    """What a figure keeps of a row; None where it was not run."""
    return None if row["mean"] is None else {name: row[name] for name in KEPT}


def item_prints(item: str, cell: Cell) -> bool:
    """Whether the paper's item speaks of this arm: Table 5 of the methods' own arms, other items of every arm."""
    return item != "table5" or cell.arm == cell.method


def finite(value: float | None, digits: int = 3) -> float | None:
    """Rounded, or None where it is not a finite number."""
    return round(float(value), digits) if value is not None and math.isfinite(value) else None


def within(interval: Interval, low: float, high: float) -> Interval:
    """An interval cut to what its quantity can be, to be shown; verdicts and p-values come from the whole one.

    An infinite end stays as it is, since one number bounds nothing.
    """
    ends = (end if math.isinf(end) else min(max(end, low), high) for end in (interval.low, interval.high))
    return replace(interval, **dict(zip(("low", "high"), ends, strict=True)))


@dataclass(frozen=True)
class Comparison:
    """One paired difference in `unit` by reading (sdft/statistics.py), or why there is none.

    seeds, by_seed and bases: the runs, the difference of each, and its base model. runs: the names of the runs and base
    models on both sides, where they are known. components: standard deviations
    between base models, seeds and clusters of items, in `unit`. offline: the offline judge scored a side of it.
    benchmarks and sizes: what was measured, from base models of which sizes, so that a base model that misses its gate
    is known. kind: the test's own predicate, where it is not that of its statement. bound: the largest that the
    difference can be, 100 percentage points where it is left out.
    """

    name: str
    readings: dict[str, Interval] = field(default_factory=dict)
    unit: str = "percentage points"
    seeds: tuple[int, ...] = ()
    by_seed: tuple[float, ...] = ()
    bases: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    components: dict[str, float | None] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    published: float | None = None
    offline: bool = False
    benchmarks: tuple[str, ...] = ()
    sizes: tuple[str | None, ...] = (None,)
    kind: str | None = None
    bound: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def interval(self) -> Interval | None:
        """The reading that counts; None where nothing was run."""
        return counted(self.readings) if self.readings else None

    @property
    def shown(self) -> Interval:
        """The interval that counts as it is shown, within what the difference can be."""
        return self.cut(self.interval)

    def cut(self, interval: Interval) -> Interval:
        """An interval within what the difference can be."""
        bound = self.bound or (100.0 if self.unit == "percentage points" else math.inf)
        return within(interval, -bound, bound)


def of_matrices(
    name: str,
    one: Sequence[Outcomes],
    other: Sequence[Outcomes],
    seeds: Sequence[int],
    *,
    factor: float = 100.0,
    unit: str = "percentage points",
    published: float | None = None,
) -> Comparison:
    """The difference of two lists of outcomes [runs, items], one a test set."""
    readings = paired_readings(one, other, LEVEL, grouped=True)
    by_seed = factor * np.mean([a.mean(axis=1) - b.mean(axis=1) for a, b in zip(one, other, strict=True)], axis=0)
    parts = variance_components([a - b for a, b in zip(one, other, strict=True)], grouped=True)
    return Comparison(
        name,
        {reading: interval.scaled(factor) for reading, interval in readings.items()},
        unit,
        tuple(seeds),
        tuple(round(float(x), 3) for x in by_seed),
        bases=one[0].bases or (),
        components={part: None if spread is None else factor * spread for part, spread in parts.items()},
        published=published,
    )


def paired_groups(cells: Sequence[Cell], measured: Quantity) -> tuple[list[int], list[list[Outcomes]]] | None:
    """Outcomes of several cells on the seeds that all of them have finished; None where no seed is common."""
    finished = [{run.seed: run for run in done(cell, measured)} for cell in cells]
    seeds = sorted(set.intersection(*map(set, finished))) if finished else []
    if not seeds:
        return None
    for seed in seeds:
        _check_questions([runs[seed] for runs in finished], measured)
    return seeds, [groups([runs[seed] for seed in seeds], measured) for runs in finished]


def compared(cells: Sequence[Cell], seeds: Sequence[int]) -> tuple[str, ...]:
    """The names of the runs and base models of some cells that have one of the seeds, each once."""
    return tuple(dict.fromkeys(run.name for cell in cells for run in cell.runs if run.seed in seeds))


def compare(
    one: Cell | None,
    other: Cell | None,
    measured: Quantity,
    *,
    name: str,
    names: tuple[str, str],
    published: float | None = None,
) -> Comparison:
    """`one` minus `other`, paired by item and seed; `names` are said where a side has no score."""
    absent = tuple(
        said for said, cell in zip(names, (one, other), strict=True) if cell is None or not done(cell, measured)
    )
    outcomes = None if absent else paired_groups([one, other], measured)
    if outcomes is None:
        return Comparison(name, {}, measured.difference_unit, absent=absent, published=published)
    seeds, (left, right) = outcomes
    found = of_matrices(
        name, left, right, seeds, factor=measured.factor, unit=measured.difference_unit, published=published
    )
    return replace(
        found,
        runs=compared((one, other), seeds),
        offline=offline([one, other], measured),
        # A length is counted, whatever the answers are worth.
        benchmarks=() if measured.field == "new_tokens" else measured.benchmarks,
        sizes=(one.size, other.size),
    )
