"""The whole sweep: dominated area, the prior average at matched accuracy, and the gentlest good candidate."""

from __future__ import annotations

from typing import Any

import numpy as np

from sdft.common.provenance import Clock
from sdft.evidence.exhibits.frontier import MEASURES, Sweep, by_run, difference, gentlest, sweeps
from sdft.evidence.names import METHOD_NAMES, TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.evidence.quantities import Comparison, finite
from sdft.methods.hyperparameters import in_words
from sdft.pages.tables.measured import envelope, table_manifest
from sdft.pages.writers import value_text
from sdft.statistics import READINGS

NOTE = (
    "Validation of the new task and the prior benchmarks of the sweep, percent; one number a base model and seed, "
    "paired. The first interval is on these base models, the second for any base model; a reading is left out where "
    "the sweep has too few of either."
)


def frontier(results: Results, clock: Clock) -> dict[str, Any]:
    """verdict.json of the sweep's statistics."""
    rows, sections = [], []
    for measure, (title, _) in MEASURES.items():
        body = []
        for task in results.tasks:
            own = sweeps(results, task)
            entry = _row(task, measure, own)
            rows.append(entry)
            body.append(_line(entry, list(results_arms(results))))
        header = ["Task", *(METHOD_NAMES.get(arm, arm) for arm in results_arms(results)), "SDFT minus SFT", "any base"]
        sections.append({"title": title, "header": header, "body": body, "words": 1, "note": NOTE})
    gentle = [
        {"task": task, "arm": arm, **gentlest(sweep)}
        for task in results.tasks
        for arm, sweep in sweeps(results, task).items()
    ]
    sections.append(
        {
            "title": "The gentlest candidate within one standard error of the best",
            "header": ["Task", "Method", "Candidate", "New task", "Prior average"],
            "body": [
                [
                    TASK_NAMES[entry["task"]],
                    METHOD_NAMES.get(entry["arm"], entry["arm"]),
                    in_words(entry["hyperparameters"]),
                    f"{entry['new_task']:.1f}",
                    f"{entry['prior_average']:.1f}",
                ]
                for entry in gentle
            ]
            or [["NOT RUN", "", "", "", ""]],
            "words": 3,
            "note": "Means over the seeds of the sweep, percent.",
        }
    )
    return {
        **envelope(results, "frontier", []),
        "title": "The whole sweep",
        "unit": "percent",
        "rows": rows,
        "gentlest": gentle,
        "claims": [],
        "sections": sections,
        "manifest": table_manifest(results, clock),
    }


def results_arms(results: Results) -> dict[str, None]:
    """The arms of the sweep, in the order of the plan."""
    return dict.fromkeys(cell.arm for cell in results.cells)


def _row(task: str, measure: str, own: dict[str, Sweep]) -> dict[str, Any]:
    arms = {
        arm: {"by_run": [finite(value) for value in by_run(sweep, measure)], "bases": list(sweep.bases)}
        for arm, sweep in own.items()
    }
    pair = difference(own["sdft"], own["sft"], measure) if {"sdft", "sft"} <= set(own) else Comparison(measure)
    return {
        "task": task,
        "metric": measure,
        "arms": arms,
        "difference": {
            name: {"mean": finite(cut.mean), "low": finite(cut.low), "high": finite(cut.high), "p": cut.p}
            for name, interval in pair.readings.items()
            for cut in [pair.cut(interval)]
        },
        "n_seeds": len(pair.seeds),
    }


def _line(entry: dict[str, Any], arms: list[str]) -> list[str]:
    def mean(arm: str) -> str:
        values = [value for value in entry["arms"].get(arm, {}).get("by_run", ()) if value is not None]
        runs = len(entry["arms"].get(arm, {}).get("by_run", ()))
        if not runs:
            return "NOT RUN"
        if not values:
            return "not reached"
        return f"{np.mean(values):.1f}" + (f" ({len(values)} of {runs} runs)" if len(values) < runs else "")

    found = [value_text(entry["difference"][name], "+z.1f") if name in entry["difference"] else "" for name in READINGS]
    return [TASK_NAMES[entry["task"]], *map(mean, arms), *found]
