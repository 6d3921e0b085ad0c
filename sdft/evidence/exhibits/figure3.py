"""Figure 3: one model through several tasks, in several orders.

With R[i, j] the accuracy on task j after stage i, b[j] that of the base model and T the last stage:

- backward transfer: mean over j < T of R[T, j] - R[j, j] (what later stages did to a task);
- forward transfer: mean over j > 0 of R[j - 1, j] - b[j] (what earlier stages did to a task before its own);
- forgetting: mean over j < T of max_i R[i, j] - R[T, j], over the stages i = j..T-1; the maximum is taken of the mean
  over seeds, so that it does not pick up each seed's luck;
- normalised accuracy: (accuracy - b[j]) / (best[j] - b[j]), where best[j] is the highest mean over seeds that either
  method reaches on task j anywhere in that order; one line for every seed, so that bands are those of the accuracies.

Accuracies are those of the trajectories' points, whose items are the first ones of each test set; the base model is
measured on the same items, from its scores, by the scorer of those points: where a judge has seen the base model's
answers, what the offline judge had said of them counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sdft.evidence.names import TASK_NAMES
from sdft.evidence.outcomes import Cell, Results, Run
from sdft.evidence.published import document
from sdft.evidence.quantities import Comparison, finite, of_matrices, within
from sdft.evidence.rules import LEVEL, NEAR
from sdft.evidence.statements import HOLM, Statement, conclude_all
from sdft.evidence.trajectories import curve, last, outcomes, prior_reader, summary, task_reader
from sdft.statistics import Outcomes, paired_difference
from sdft.tasks import find_task

ARMS = (("sdft.seq", "SDFT", "sdft"), ("sft.seq", "SFT", "sft"))
STATEMENTS = (
    Statement(
        "sequential-sdft-keeps",
        "Figure 3",
        "Along a sequence of tasks SDFT loses less of the earlier ones than SFT.",
        "backward transfer of SDFT minus that of SFT, each order",
        also="nothing is found for it unless SDFT learnt the earlier tasks: after their own stages it is above the "
        f"base model with {HOLM}, each order",
    ),
    Statement(
        "sequential-sdft-accumulates",
        "Figure 3 (a)",
        "SDFT accumulates the skills: what it learnt is still there at the end.",
        "accuracy of SDFT at the end minus that after each task's own stage, each order",
        "not_worse",
        NEAR,
        also=f"at the end it is above the base model with {HOLM}, each task, each order",
    ),
    Statement(
        "sequential-sft-below-base",
        "Figure 3 (b)",
        "SFT drops every earlier task below the base model.",
        "base minus SFT at the end of the sequence, each earlier task, each order",
    ),
)


def orders(results: Results) -> list[tuple[str, ...]]:
    """The orders of tasks in the plan, each once."""
    return list(dict.fromkeys(cell.order for cell in results.cells if cell.order))


def stages(results: Results, arm: str, order: tuple[str, ...]) -> list[Cell | None]:
    """The cells of an arm's stages in one order; None where the plan lacks a stage."""
    found = {cell.stage: cell for cell in results.cells if cell.arm == arm and cell.order == order}
    return [found.get(stage) for stage in range(len(order))]


def base_outcomes(run: Run, task: str, count: int | None) -> list[float] | float | None:
    """The base model's outcomes on the first `count` items in the order of the test set; all of them for None."""
    trajectory = last(run, task_reader(task))
    if trajectory is not None:
        return trajectory
    if task not in run.scores:
        return None
    score = run.scores[task]
    outcomes = score.fields.get("offline", score.outcomes)[np.argsort(score.order)]
    return [float(value) for value in outcomes[:count]]


class Trained:
    """Outcomes of one arm in one order: after each stage, each task, each seed."""

    def __init__(self, results: Results, arm: str, order: tuple[str, ...]) -> None:
        self.order = order
        self.cells = stages(results, arm, order)
        self.base = {run.seed: run for run in results.base_cell(order[0]).runs} if results.base else {}
        shown = {task: results.in_context(task) for task in order}
        self.shown = {task: {run.seed: run for run in cell.runs} for task, cell in shown.items() if cell}

    def _run(self, stage: int, seed: int) -> Run | None:
        cell = self.cells[stage]
        return next((run for run in cell.runs if run.seed == seed), None) if cell else None

    def after(self, stage: int, task: str, seed: int, part: str = "tasks") -> list[float] | float | None:
        run = self._run(stage, seed)
        return None if run is None else last(run, task_reader(task, part))

    @property
    def seeds(self) -> list[int]:
        """Seeds whose every stage has a trajectory with every task, and whose base model was scored."""
        named = {run.seed for cell in self.cells if cell for run in cell.runs}
        return [
            seed
            for seed in sorted(named)
            if all(self.after(stage, task, seed) is not None for stage in range(len(self.order)) for task in self.order)
            and all(self.before(task, seed) is not None for task in self.order)
        ]

    def before(self, task: str, seed: int) -> list[float] | float | None:
        run = self.base.get(seed)
        own = self.after(0, task, seed)
        count = len(own) if isinstance(own, list) else None
        return None if run is None else base_outcomes(run, task, count)

    def in_context(self, stage: int, task: str, seeds: Sequence[int]) -> dict[str, Any] | None:
        """Accuracy with a demonstration in the prompt after a stage, -1 for the base model; None where not measured."""
        if stage < 0:
            found = [self._base_in_context(task, seed) for seed in seeds]
        else:
            found = [self.after(stage, task, seed, "in_context") for seed in seeds]
        return summary(found, self.runs(seeds), task) if seeds and None not in found else None

    def _base_in_context(self, task: str, seed: int) -> list[float] | float | None:
        run, own = self.shown.get(task, {}).get(seed), self.after(0, task, seed)
        return None if run is None else base_outcomes(run, task, len(own) if isinstance(own, list) else None)

    def values(self, stage: int, task: str, seeds: Sequence[int]) -> list[list[float] | float]:
        """Outcomes after a stage for each seed; stage -1 is the base model."""
        return [self.before(task, seed) if stage < 0 else self.after(stage, task, seed) for seed in seeds]

    def runs(self, seeds: Sequence[int]) -> list[Run]:
        """The runs of the first stage, which start from the base models."""
        return [self._run(0, seed) for seed in seeds]

    def matrix(self, stage: int, task: str, seeds: Sequence[int]) -> Outcomes | None:
        """[runs, items] after a stage; None where items are not kept or are not the same number."""
        values = self.values(stage, task, seeds)
        if any(not isinstance(value, list) for value in values) or len({len(value) for value in values}) > 1:
            return None
        return outcomes(values, self.runs(seeds), task)


def transfers(sequence: Trained, seeds: Sequence[int]) -> dict[str, tuple[list[Outcomes], list[Outcomes]]] | None:
    """What backward, forward transfer and forgetting are the difference of: lists of [runs, items], one a task."""
    order, end = sequence.order, len(sequence.order) - 1
    table = {(stage, task): sequence.matrix(stage, task, seeds) for stage in range(-1, end + 1) for task in order}
    if any(matrix is None for matrix in table.values()) or len({m.shape for m in table.values()}) > len(set(order)):
        return None
    earlier = list(enumerate(order[:-1]))
    best = [max(range(j, end), key=lambda i, task=task: table[i, task].mean()) for j, task in earlier]
    return {
        "backward": ([table[end, task] for _, task in earlier], [table[j, task] for j, task in earlier]),
        "forward": (
            [table[j, task] for j, task in enumerate(order[1:])],
            [table[-1, task] for task in order[1:]],
        ),
        "forgetting": (
            [table[i, task] for i, (_, task) in zip(best, earlier, strict=True)],
            [table[end, task] for _, task in earlier],
        ),
    }


def _arm_numbers(results: Results, arm: str, order: tuple[str, ...]) -> dict[str, Any] | None:
    """Curves, accuracy matrix and transfers of an arm in one order; None where no stage of it was run."""
    sequence = Trained(results, arm, order)
    points: dict[str, list[dict[str, Any]]] = {name: [] for name in (*order, "prior_average")}
    for stage, cell in enumerate(sequence.cells):
        for name in points:
            read = prior_reader if name == "prior_average" else task_reader(name)
            found = curve(cell.runs, read, None if name == "prior_average" else name) if cell else []
            points[name] += [{**point, "stage": stage, "at": round(stage + point["fraction"], 4)} for point in found]
    if not any(points.values()):
        return None
    seeds = sequence.seeds
    for task in order:
        first = sequence.cells[0]
        runs = [run.seed for run in first.runs if sequence.before(task, run.seed) is not None] if first else []
        runs = [seed for seed in runs if sequence.after(0, task, seed) is not None]
        if runs:
            start = summary(sequence.values(-1, task, runs), sequence.runs(runs), task)
            points[task].insert(0, {"stage": -1, "at": 0.0, "fraction": 0.0, "step": 0, **start, "seeds": runs})
    numbers: dict[str, Any] = {"curves": points, "seeds": seeds, "matrix": None, "transfer": None}
    # What the model of each stage, from which the next stage's teacher starts, can do with a demonstration before it.
    shown = [[sequence.in_context(stage, task, seeds) for task in order] for stage in range(-1, len(order))]
    numbers["in_context"] = shown if any(any(row) for row in shown) else None
    if seeds:
        numbers["matrix"] = [
            [summary(sequence.values(stage, task, seeds), sequence.runs(seeds), task) for task in order]
            for stage in range(-1, len(order))
        ]
        pairs = transfers(sequence, seeds)
        if pairs:
            numbers["transfer"] = {}
            for name, (one, other) in pairs.items():
                interval = within(paired_difference(one, other, LEVEL, grouped=True).scaled(100), -100, 100)
                numbers["transfer"][name] = {
                    **{"mean": finite(interval.mean), "low": finite(interval.low), "high": finite(interval.high)},
                    **{"n_seeds": interval.n, "n_items": interval.n_items},
                }
    return numbers


def _normalise(numbers: dict[str, dict[str, Any]], order: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Add `normalised` to every task's points; returns base and best of each task, in percent."""
    scales = {}
    for task in order:
        found = [entry["curves"][task] for entry in numbers.values() if entry["curves"][task]]
        bases = [points[0]["mean"] for points in found if points[0]["stage"] < 0]
        if not bases:
            continue
        base, best = bases[0], max(point["mean"] for points in found for point in points)
        scales[task] = {"base": base, "best": best}
        if best - base <= 1e-9:
            continue
        for points in found:
            for point in points:
                point["normalised"] = {
                    name: None if point[name] is None else round((point[name] - base) / (best - base), 4)
                    for name in ("mean", "low", "high")
                }
    return scales


def figure3(results: Results) -> dict[str, Any]:
    """Numbers of Figure 3: for each order and arm curves (raw and normalised), accuracy matrix and transfers."""
    panels, not_drawn = [], []
    for order in orders(results) if results.enabled else ():
        found = {}
        for arm, name, _ in ARMS:
            numbers = _arm_numbers(results, arm, order)
            if numbers is None:
                not_drawn.append({"what": f"{name}, {' - '.join(order)}", "arm": arm, "why": "NOT RUN"})
                continue
            found[arm] = {"label": name, **numbers}
            gaps = [task for stage, task in enumerate(order) if not _has(numbers, stage)]
            not_drawn += [
                {"what": f"{name}, {' - '.join(order)}, stage {TASK_NAMES[task]}", "arm": arm, "why": "NOT RUN"}
                for task in gaps
            ]
        panels.append({"order": list(order), "scales": _normalise(found, order), "arms": found})
    if not panels:
        not_drawn.append({"what": "every order", "why": "NOT RUN"})
    printed = document()["items"]["figure3"]
    return {
        "unit": "percent",
        "panels": panels,
        "paper": {"order": printed["order"], **printed["rows"]["sequential"]},
        "not_drawn": not_drawn,
        "claims": _claims(results),
    }


def _has(numbers: dict[str, Any], stage: int) -> bool:
    return any(point["stage"] == stage for points in numbers["curves"].values() for point in points)


def _of(name: str, one: Any, other: Any, seeds: Sequence[int], tasks: Sequence[str]) -> Comparison:
    """A comparison of trajectories on some tasks: no model judges their answers at any scale."""
    found = of_matrices(name, one, other, seeds)
    return replace(found, benchmarks=tuple(tasks), offline=any(find_task(task).judged for task in tasks))


def _claims(results: Results) -> list[dict[str, Any]]:
    comparisons: dict[str, list[Comparison]] = {
        name: [] for name in ("sequential-sdft-keeps", "sequential-sdft-accumulates", "sequential-sft-below-base")
    }
    for order in orders(results):
        where = " - ".join(TASK_NAMES[task] for task in order)
        arms = {arm: Trained(results, arm, order) for arm, _, _ in ARMS}
        seeds = {arm: sequence.seeds for arm, sequence in arms.items()}
        pairs = {arm: transfers(arms[arm], seeds[arm]) if seeds[arm] else None for arm in arms}
        absent = tuple(f"{name} in the order {where}" for arm, name, _ in ARMS if not pairs[arm])
        both = sorted(set.intersection(*map(set, seeds.values())))
        sdft, own = arms["sdft.seq"], seeds["sdft.seq"]
        keeps, adds = comparisons["sequential-sdft-keeps"], comparisons["sequential-sdft-accumulates"]
        if absent or not both:
            keeps.append(Comparison(where, {}, absent=absent))
        else:
            changes = [
                [end - own for end, own in zip(*transfers(arms[arm], both)["backward"], strict=True)]
                for arm in ("sdft.seq", "sft.seq")
            ]
            # A difference of differences goes from -200 to 200 points.
            keeps.append(replace(_of(where, *changes, both, order[:-1]), bound=200.0))
            learnt = [[sdft.matrix(k, task, both) for k, task in enumerate(order[:-1])]]
            learnt += [[sdft.matrix(-1, task, both) for task in order[:-1]]]
            name = f"SDFT after each task's own stage minus base, {where}"
            keeps.append(replace(_of(name, *learnt, both, order[:-1]), kind="premise"))
        if pairs["sdft.seq"]:
            adds.append(_of(where, *pairs["sdft.seq"]["backward"], own, order[:-1]))
            for task in order:
                name = f"{TASK_NAMES[task]} at the end minus base, {where}"
                end, before = (sdft.matrix(stage, task, own) for stage in (len(order) - 1, -1))
                adds.append(replace(_of(name, [end], [before], own, [task]), kind="better"))
        else:
            adds.append(Comparison(where, {}, absent=absent))
        for task in order[:-1]:
            name = f"{TASK_NAMES[task]} in {where}"
            if not pairs["sft.seq"]:
                comparisons["sequential-sft-below-base"].append(Comparison(name, {}, absent=absent))
                continue
            own = seeds["sft.seq"]
            before, end = (arms["sft.seq"].matrix(stage, task, own) for stage in (-1, len(order) - 1))
            comparisons["sequential-sft-below-base"].append(_of(name, [before], [end], own, [task]))
    return conclude_all(results, STATEMENTS, comparisons)
