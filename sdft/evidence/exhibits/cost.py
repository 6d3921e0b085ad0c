"""What SDFT costs beside SFT: FLOPs that were counted, and seconds that passed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sdft.common.schema import read_checked
from sdft.evidence.files import Model
from sdft.evidence.names import TASK_NAMES
from sdft.evidence.outcomes import Cell, Results, Run
from sdft.evidence.published import lookup
from sdft.evidence.quantities import Comparison, finite, labelled, of_matrices
from sdft.evidence.rules import LEVEL
from sdft.evidence.statements import Statement, conclude_all
from sdft.statistics import Outcomes, paired_difference

KINDS = {"flops": "FLOPs", "wall_clock": "Wall-clock"}
STATEMENTS = (
    Statement(
        "cost-dearer",
        "Text on cost",
        "SDFT costs more than SFT: about 2.5 times the FLOPs and 4 times the wall-clock.",
        "logarithm of SDFT's cost over SFT's, FLOPs and seconds",
        near=None,
    ),
)


def _model(run: Run) -> dict[str, Any]:
    return read_checked(run.model, Model) if run.model and run.model.exists() else {}


def amount(run: Run, kind: str) -> float | None:
    """FLOPs or seconds for a training sequence, so that batches may differ; None where it was not measured."""
    if kind == "flops":
        counted = run.measurement("flops")
        return None if counted is None else float(counted["total"]) / counted.get("tokens", {}).get("sequences", 1)
    record = _model(run)
    seconds, steps = (record.get("manifest") or {}).get("seconds"), record.get("steps")
    batch = ((record.get("run") or {}).get("hyperparameters") or {}).get("batch_size", 1)
    return float(seconds) / (steps * batch) if seconds and steps else None


def _amounts(cell: Cell | None, kind: str) -> dict[int, float]:
    found = {run.seed: amount(run, kind) for run in cell.runs} if cell else {}
    return {seed: value for seed, value in found.items() if value}


def _logs(results: Results, task: str, kind: str, seeds: Sequence[int]) -> Outcomes:
    """The logarithm of SDFT over SFT, [runs, 1]."""
    sdft, sft = (_amounts(results.arm(arm, task), kind) for arm in ("sdft", "sft"))
    runs = {run.seed: run for run in results.arm("sdft", task).runs}
    return labelled([[math.log(sdft[seed] / sft[seed])] for seed in seeds], [runs[seed] for seed in seeds])


def ratio_rows(results: Results) -> list[dict[str, Any]]:
    """A row a task and kind: SDFT over SFT a sequence, as the mean over seeds of the logarithm, taken back."""
    rows = []
    for task in results.tasks or ["science"]:
        for kind in KINDS:
            sdft, sft = (_amounts(results.arm(arm, task), kind) for arm in ("sdft", "sft"))
            seeds = sorted(set(sdft) & set(sft)) if results.enabled else []
            printed = lookup("cost", "all", "sdft", kind)
            row: dict[str, Any] = {
                **{"task": task, "label": KINDS[kind], "method": "sdft", "metric": kind, "unit": "times SFT"},
                **{"published": printed.value, "mean": None, "low": None, "high": None},
                **{
                    "n_seeds": len(seeds),
                    "seeds": seeds,
                    "by_seed": [],
                    "verdict": "NOT RUN",
                    "reason": "not measured",
                },
            }
            if seeds:
                logs = _logs(results, task, kind, seeds)
                interval = paired_difference(logs, 0.0 * logs, LEVEL)
                # Several seeds of one model and one shape count the same FLOPs, whose interval is then that number.
                low, high = (math.exp(end) if math.isfinite(end) else None for end in (interval.low, interval.high))
                row |= {
                    "mean": finite(math.exp(interval.mean), 4),
                    "low": finite(low, 4),
                    "high": finite(high, 4),
                    "by_seed": [round(math.exp(value), 4) for value in logs.values[:, 0]],
                    "sdft": finite(float(np.mean([sdft[seed] for seed in seeds])), 6),
                    "sft": finite(float(np.mean([sft[seed] for seed in seeds])), 6),
                    "verdict": "INCOMPARABLE" if not results.beside_paper else _verdict(low, high, printed.value),
                    "reason": "other models and hardware than the paper's" if not results.beside_paper else "",
                }
            rows.append(row)
    return rows


def _verdict(low: float | None, high: float | None, published: float) -> str:
    if low is None or high is None:
        return "INCONCLUSIVE"
    # "About 2.5 times": a fifth to either side is still about that.
    if low * 0.8 <= published <= high * 1.2:
        return "WITHIN"
    return "DIRECTION" if low > 1 else "MISMATCH"


def cost_claims(results: Results, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The claims, each test on the logarithm of the ratio, which is zero where the costs are equal."""
    comparisons = []
    for row in rows:
        name = row["label"] if len(results.tasks) < 2 else f"{TASK_NAMES[row['task']]}, {row['label']}"
        if row["mean"] is None:
            comparisons.append(Comparison(name, {}, "times", absent=(row["label"],), published=row["published"]))
            continue
        logs = _logs(results, row["task"], row["metric"], row["seeds"])
        shown = f"{row['mean']:.2f} times SFT" + (
            f" (95 % interval {row['low']:.2f} to {row['high']:.2f})" if row["low"] is not None else ""
        )
        found = of_matrices(name, [logs], [0.0 * logs], row["seeds"], factor=1.0, unit="log ratio")
        extra = {"ratio": row["mean"], "shown": shown}
        ratios = tuple(row["by_seed"])
        comparisons.append(replace(found, by_seed=ratios, published=row["published"], extra=extra))
    return conclude_all(results, STATEMENTS, {"cost-dearer": comparisons})
