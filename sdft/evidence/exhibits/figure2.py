"""Figure 2: what the base model solves with a demonstration in its context, and how far from the base that takes it.

A divergence file (`sdft.evaluate.distance`) holds {"nats_per_sequence": {"mean", "se"}, "nats_per_token": {...},
"items": [{"id", "nats_per_sequence", ...}], "definition"}. Where two models have the same items they are paired.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sdft.evidence.outcomes import Cell, Results, Run
from sdft.evidence.published import lookup, printed_difference
from sdft.evidence.quantities import (
    Comparison,
    Quantity,
    compare,
    done,
    finite,
    groups,
    labelled,
    measured_row,
    of_matrices,
    point,
    quantity,
    within,
)
from sdft.evidence.rules import LEVEL, NEAR
from sdft.evidence.statements import Statement, conclude_all
from sdft.statistics import Interval, Outcomes, mean_interval, paired_difference

TASK = "tooluse"
STATEMENTS = (
    Statement(
        "teacher-solves-more",
        "Figure 2, text",
        "With a demonstration in its context the base model solves far more of Tool Use.",
        "base with demonstration minus base, accuracy",
    ),
    Statement(
        "teacher-solves-all",
        "Figure 2, text",
        "With a demonstration it solves all of Tool Use.",
        "base with demonstration minus 100 %, accuracy",
        "not_worse",
        NEAR,
    ),
    Statement(
        "teacher-is-closer",
        "Figure 2, right",
        "The teacher is nearer to the base model than the SFT model is.",
        "KL to base of the SFT model minus that of the teacher, nats a sequence",
        near=None,
    ),
)


def _item_nats(record: dict[str, Any]) -> dict[str, float]:
    """Nats a sequence by item, averaged over its samples; empty where the file has no items with an id."""
    found = {}
    for item in record.get("items") or []:
        value = item.get("nats_per_sequence", item.get("nats")) if isinstance(item, dict) else None
        if value is not None and "id" in item:
            found[str(item["id"])] = float(np.mean(value))
    return found


def _nats(cell: Cell | None) -> dict[int, tuple[Run, dict[str, Any]]]:
    if cell is None:
        return {}
    found = {run.seed: (run, run.measurement("divergence")) for run in cell.runs}
    return {seed: (run, record) for seed, (run, record) in found.items() if record}


def _outcomes(measured: dict[int, tuple[Run, dict[str, Any]]], seeds: Sequence[int]) -> Outcomes:
    """Nats a sequence [runs, items]; a column with each run's mean where the files have no items in common."""
    runs = [measured[seed][0] for seed in seeds]
    records = [measured[seed][1] for seed in seeds]
    items = [_item_nats(record) for record in records]
    names = sorted(items[0])
    if not names or any(set(entry) != set(names) for entry in items):
        return labelled([[float(record["nats_per_sequence"]["mean"])] for record in records], runs)
    about = [{str(item["id"]): item.get("cluster") for item in record["items"]} for record in records]
    clusters = [[own[name] for name in names] for own in about]
    return labelled([[entry[name] for name in names] for entry in items], runs, clusters)


def divergence_point(cell: Cell) -> dict[str, Any] | None:
    """KL to base of a cell's models in nats a sequence and a token, with intervals; None where it was not measured."""
    measured = _nats(cell)
    if not measured:
        return None
    records = [record for _, record in measured.values()]
    nats = _outcomes(measured, list(measured))
    # As a difference from zero, since a mean of numbers that all lie in 0..1 is taken for one that cannot leave it.
    interval = paired_difference(nats, 0.0 * nats, LEVEL)
    tokens = [float(record["nats_per_token"]["mean"]) for record in records if record.get("nats_per_token")]
    token = mean_interval(tokens, LEVEL) if tokens else None
    return {
        **_ends(interval),
        "by_seed": [round(float(record["nats_per_sequence"]["mean"]), 4) for record in records],
        "seeds": list(measured),
        "n_seeds": len(measured),
        "n_items": interval.n_items if nats.shape[1] > 1 else int(records[0].get("n_prompts", 0)),
        "covers": interval.sources,
        "nats_per_token": None if token is None else _ends(token),
        "runs": [run.name for run, _ in measured.values()],
        "definition": records[0].get("definition", ""),
    }


def _ends(interval: Interval) -> dict[str, Any]:
    """A divergence as it is shown: none is below zero."""
    shown = within(interval, 0.0, math.inf)
    return {"mean": finite(shown.mean, 4), "low": finite(shown.low, 4), "high": finite(shown.high, 4)}


def _divergence_difference(one: Cell | None, other: Cell | None) -> Comparison:
    name = "SFT model minus teacher"
    left, right = _nats(one), _nats(other)
    seeds = sorted(set(left) & set(right))
    published = printed_difference("figure2", TASK, "sft", "teacher", "kl_to_base")
    if not seeds:
        absent = tuple(f"the KL of {said}" for said, found in (("SFT", left), ("the teacher", right)) if not found)
        return Comparison(name, {}, "nats", absent=absent, published=published)
    pair = [_outcomes(side, seeds) for side in (left, right)]
    if pair[0].shape != pair[1].shape:
        pair = [labelled(side.mean(axis=1)[:, None], [left[seed][0] for seed in seeds]) for side in pair]
    return of_matrices(name, pair[:1], pair[1:], seeds, factor=1.0, unit="nats", published=published)


def figure2(results: Results) -> dict[str, Any]:
    """Numbers of Figure 2: accuracy in percent and KL to base in nats."""
    base = results.base_cell(TASK, distinct=True) if results.base else None
    teacher, sft, sdft = results.in_context(TASK), results.arm("sft", TASK), results.arm("sdft", TASK)
    measured = quantity("new_task", TASK)
    not_drawn, solved, nats = [], [], []
    lines = (("base", "Base", base), ("teacher", "Base with\ndemonstration", teacher))
    for key, name, cell in lines:
        value = point(measured_row("figure2", cell.distinct, measured)) if cell and results.enabled else None
        printed = lookup("figure2", TASK, key, "solved")
        solved.append({"key": key, "label": name, "paper": printed.value, "value": value})
        if value is None:
            not_drawn.append({"what": f"accuracy, {name}".replace("\n", " "), "why": "NOT RUN"})
    for key, name, cell in (("sft", "SFT model", sft), ("sdft", "SDFT model", sdft), ("teacher", "Teacher", teacher)):
        value = divergence_point(cell.distinct) if cell and results.enabled else None
        printed = lookup("figure2", TASK, key, "kl_to_base")
        nats.append({"key": key, "label": name, "paper": printed.value if printed else None, "value": value})
        if value is None:
            not_drawn.append({"what": f"KL to base, {name}", "why": "NOT RUN"})
    more = compare(
        teacher,
        results.base_cell(TASK) if results.base else None,
        measured,
        name="with demonstration minus without",
        names=("the base model with a demonstration", "the base model"),
        published=printed_difference("figure2", TASK, "teacher", "base", "solved"),
    )
    claims = conclude_all(
        results,
        STATEMENTS,
        {
            "teacher-solves-more": [more],
            "teacher-solves-all": [_against_all(teacher, measured)],
            "teacher-is-closer": [_divergence_difference(sft, teacher)],
        },
    )
    return {"unit": "percent and nats", "solved": solved, "nats": nats, "not_drawn": not_drawn, "claims": claims}


def _against_all(teacher: Cell | None, measured: Quantity) -> Comparison:
    """The teacher's accuracy minus 100 %."""
    name = "accuracy minus 100 %"
    published = lookup("figure2", TASK, "teacher", "solved").value - 100
    runs = done(teacher, measured) if teacher else []
    if not runs:
        return Comparison(name, {}, absent=("the base model with a demonstration",), published=published)
    right = groups(runs, measured)
    every = [replace(group, values=np.ones_like(group.values)) for group in right]
    found = of_matrices(name, right, every, [run.seed for run in runs], published=published)
    return replace(found, benchmarks=measured.benchmarks, sizes=(teacher.size,))
