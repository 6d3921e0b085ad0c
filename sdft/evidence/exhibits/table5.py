"""Table 5: skill learning and what is left of the prior capabilities, with the paper's claims about them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sdft.common.files import read_json
from sdft.evidence.names import METHOD_NAMES, METRIC_NAMES, METRICS, PRIOR, TASK_NAMES
from sdft.evidence.outcomes import Cell, Results
from sdft.evidence.published import document, lookup
from sdft.evidence.quantities import (
    OFFLINE,
    Comparison,
    compared,
    finite,
    measured_row,
    of_matrices,
    offline,
    paired_groups,
    quantity,
)
from sdft.evidence.rules import AGAINST, LEVEL, NEAR, Trial, combine, decide
from sdft.evidence.statements import AGAINST_PAPER, HOLM, ONE_SEED, Statement, holm_text, on_rounding, undecided
from sdft.evidence.verdicts import paper_verdict
from sdft.statistics import READINGS, Fraction, Interval, Outcomes, mcnemar_exact, restored_fractions
from sdft.study.gate import Check, check
from sdft.study.schema import Tolerance

HEADLINE = "SDFT learns the new task at least as well as SFT while it forgets less of what the base model could do."


@dataclass(frozen=True)
class TaskStatement(Statement):
    """A statement about every task: `one` minus `other` on `metric`; `each` is the sentence about a single task.

    The kind `restores_part` is the share (one - other) / (base - other), which lies strictly inside 0..1. A margin is
    the tolerance's `base_margin`.
    """

    each: str = ""
    one: str = "sdft"
    other: str = "sft"
    metric: str = "prior_average"

    def test(self, margin: float) -> str:
        """What is compared, how, and what decides, in one sentence."""
        if self.kind == "restores_part":
            return (
                f"(re-invoke - SFT) / (base - SFT) of the {self.predicate}, Fieller's interval paired by item and "
                "seed: it lies strictly inside 0..1."
            )
        rule = {
            "not_worse": (
                f"superior if the interval lies above 0, not inferior if it lies above -{margin:g} points, worse if it "
                f"lies below -{margin:g} points with {HOLM}"
            ),
            "better": f"the interval lies above 0; inside -{NEAR:g} to {NEAR:g} points there is no difference",
            "unchanged": f"the interval lies inside -{margin:g} to {margin:g} points",
        }[self.kind]
        pair = f"{METHOD_NAMES[self.one]} minus {METHOD_NAMES[self.other]}"
        return f"{pair}, {self.predicate}, paired by item and seed: {rule}."


NEW_TASK = ("Table 5, new task", "accuracy on the new task")
AVERAGE = ("Table 5, average", "average of the six prior benchmarks")


def _statement(name: str, where: tuple[str, str], kind: str, statement: str, each: str, **own: Any) -> TaskStatement:
    return TaskStatement(name, where[0], statement, where[1], kind, each=each, **own)


STATEMENTS = (
    _statement(
        "sdft-learns",
        NEW_TASK,
        "not_worse",
        "SDFT learns every new task at least as well as SFT.",
        "SDFT learns {task} at least as well as SFT.",
        metric="new_task",
    ),
    _statement(
        "sdft-forgets-less",
        AVERAGE,
        "better",
        "SDFT forgets less than SFT, whichever the task.",
        "After {task}, SDFT has forgotten less than SFT.",
    ),
    _statement(
        "sdft-keeps-base",
        AVERAGE,
        "unchanged",
        "After SDFT the prior average is the base model's, within {margin}.",
        "After {task}, the prior average of SDFT is within {margin} of the base model's.",
        other="base",
    ),
    _statement(
        "dft-forgets-less",
        AVERAGE,
        "better",
        "DFT forgets less than SFT.",
        "After {task}, DFT has forgotten less than SFT.",
        one="dft",
    ),
    _statement(
        "reinvoke-restores-part",
        AVERAGE,
        "restores_part",
        "Re-invocation restores part of what SFT has forgotten, not all.",
        "After {task}, re-invocation restores part of what SFT has forgotten, not all.",
        one="sft_reinvoke",
    ),
)


def statements(methods: Iterable[str]) -> tuple[TaskStatement, ...]:
    """The paper's statements, and our two questions about each method among `methods` that the paper's do not name."""
    named = {name for statement in STATEMENTS for name in (statement.one, statement.other)}
    asked = [name for name in dict.fromkeys(methods) if name not in named]
    return STATEMENTS + tuple(question for name in asked for question in _questions(name))


def _questions(method: str) -> tuple[TaskStatement, TaskStatement]:
    title = METHOD_NAMES.get(method, method)
    return (
        _statement(
            f"{method}-learns",
            NEW_TASK,
            "not_worse",
            f"{title} learns every new task at least as well as SFT.",
            f"{title} learns {{task}} at least as well as SFT.",
            one=method,
            metric="new_task",
            ours=True,
        ),
        _statement(
            f"{method}-forgets-less",
            AVERAGE,
            "better",
            f"{title} forgets less than SFT, whichever the task.",
            f"After {{task}}, {title} has forgotten less than SFT.",
            one=method,
            ours=True,
        ),
    )


def points(margin: float) -> str:
    """A margin in words."""
    return f"{margin:g} percentage point{'' if margin == 1 else 's'}"


def _published(statement: TaskStatement, task: str) -> dict[str, Any] | None:
    """The paper's own numbers for a claim, from its printed cells."""
    one, other, base = (
        lookup("table5", task, method, statement.metric) for method in (statement.one, statement.other, "base")
    )
    if one is None or other is None or base is None:
        return None
    value = one.value - other.value
    if statement.kind == "restores_part":
        value /= base.value - other.value
    return {"value": round(value, 3), "notes": [entry.note for entry in (one, other) if entry.note]}


def margin_of(statement: TaskStatement, tolerance: Tolerance) -> float:
    """A statement's margin in percentage points: the tolerance's for "within 1 point", NEAR for "at least as well"."""
    return NEAR if statement.kind == "not_worse" else tolerance.base_margin


@dataclass(frozen=True)
class Measured:
    """What was measured of one statement about one task: the difference, and the share where one is claimed.

    absent says why there is nothing. pair holds the outcomes of both sides.
    """

    difference: Comparison
    shares: dict[str, Fraction]
    pair: tuple[Outcomes, ...] = ()
    absent: str = ""

    @property
    def readings(self) -> dict[str, Interval | Fraction]:
        return self.shares or self.difference.readings


def _measure(statement: TaskStatement, task: str, results: Results) -> Measured:
    restores = statement.kind == "restores_part"
    methods = [statement.one, statement.other, *(["base"] if restores else [])]
    cells = [results.cell(task, method) for method in methods]
    measured = quantity(statement.metric, task)
    outcomes = None if None in cells else paired_groups(cells, measured)
    if outcomes is None:
        names = [
            METHOD_NAMES[method]
            for method, cell in zip(methods, cells, strict=True)
            if cell is None or not cell.done(measured.benchmarks)
        ]
        absent = f"No score of {', '.join(names)}." if names else "The methods have no seed in common."
        return Measured(Comparison(statement.id), {}, absent=absent)
    seeds, (one, other, *base) = outcomes
    shares = restored_fractions(one, other, base[0], LEVEL) if restores else {}
    found = replace(of_matrices(statement.id, one, other, seeds), runs=compared(cells, seeds))
    return Measured(found, shares, (one[0], other[0]))


def claims_of(results: Results, tolerance: Tolerance) -> list[dict[str, Any]]:
    """Every statement about every task, by the rule of sdft/evidence/rules.py over the tasks of the statement.

    {"id", "statement", "place", "task", "test", "verdict", "counts", "readings", "reading", "evidence"}; numbers of the
    evidence are in percentage points (the restored share is a fraction).
    """
    own = [cell.method for cell in results.cells if cell.arm == cell.method]
    claims: dict[tuple[str, str], dict[str, Any]] = {}
    asked = statements(own)
    for statement in asked:
        margin = margin_of(statement, tolerance)
        measured = {task: _measure(statement, task, results) for task in results.tasks}
        run = {task: found for task, found in measured.items() if not found.absent}
        verdicts: dict[str, dict[str, tuple[str, float | None]]] = {task: {} for task in run}
        for reading in READINGS:
            own_tests = {
                task: Trial(statement.kind, found.readings[reading], margin)
                for task, found in run.items()
                if reading in found.readings
            }
            _, words, adjusted = decide(list(own_tests.values()), complete=len(own_tests) == len(measured))
            for task, said, p in zip(own_tests, words, adjusted, strict=True):
                verdicts[task][reading] = (said, p)
        for task, found in measured.items():
            claims[statement.id, task] = _claim(statement, task, found, margin, verdicts.get(task, {}), results)
    return [claims[statement.id, task] for task in results.tasks for statement in asked]


def _claim(
    statement: TaskStatement,
    task: str,
    measured: Measured,
    margin: float,
    verdicts: dict[str, tuple[str, float | None]],
    results: Results,
) -> dict[str, Any]:
    """One statement about one task; verdicts: the word and Holm's p of what speaks against it, by reading."""
    result = {
        "id": f"{statement.id}-{task}",
        "statement": statement.each.format(task=TASK_NAMES[task], margin=points(margin)),
        "place": statement.place,
        "task": task,
        "test": statement.test(margin),
    }
    published = _published(statement, task)
    if measured.absent:
        nothing = {"counts": None, "readings": {}, "needed": None}
        return {
            **result,
            "verdict": "NOT RUN",
            **nothing,
            "reading": measured.absent,
            "evidence": {"published": published},
        }
    found, (one, other) = measured.difference, measured.pair
    interval, shown = found.interval, found.shown
    verdict, p_holm = verdicts[interval.reading]
    evidence = {
        "unit": found.unit,
        "difference": finite(interval.mean),
        "low": finite(shown.low),
        "high": finite(shown.high),
        "level": LEVEL,
        "p": interval.p,
        "p_holm": p_holm,
        "n_bases": interval.n_bases,
        "n_seeds": interval.n,
        "n_items": interval.n_items,
        "seeds": list(found.seeds),
        "bases": list(found.bases),
        "runs": list(found.runs),
        "by_seed": list(found.by_seed),
        "components": {name: finite(value) for name, value in found.components.items()},
        "covers": interval.sources,
        "se_seeds": finite(interval.se_seeds),
        "se_items": finite(interval.se_items),
        "readings": {
            name: {
                **{"low": finite(cut.low), "high": finite(cut.high), "p": cut.p, "n_bases": cut.n_bases},
                **{"verdict": verdicts[name][0], "p_holm": verdicts[name][1]},
            }
            for name, own in found.readings.items()
            for cut in [found.cut(own)]
        },
        "published": published,
    }
    if statement.metric == "new_task" and np.isin(np.concatenate([one.values, other.values]), (0, 1)).all():
        evidence["mcnemar_p_by_seed"] = [mcnemar_exact(a, b) for a, b in zip(one.values, other.values, strict=True)]
    if measured.shares:
        share = measured.shares[interval.reading]
        evidence |= {
            "fraction": finite(share.fraction),
            "fraction_low": finite(share.low),
            "fraction_high": finite(share.high),
        }
        reading = (
            f"{100 * share.fraction:z.0f} % of SFT's loss is restored "
            f"(95 % interval {100 * share.low:z.0f} to {100 * share.high:z.0f} %)."
            if math.isfinite(share.low) and math.isfinite(share.high)
            else "SFT's loss is too small against its interval for a restored share to mean anything."
        )
    else:
        if statement.kind == "not_worse":
            evidence |= {"superior": bool(interval.low > 0), "not_inferior": bool(interval.low > -margin)}
        if statement.kind != "better":
            evidence["margin"] = margin
        ends = ("unbounded" if evidence[end] is None else f"{evidence[end]:+z.1f}" for end in ("low", "high"))
        reading = (
            f"{METHOD_NAMES[statement.one]} minus {METHOD_NAMES[statement.other]}: {interval.mean:+z.1f} points "
            f"(95 % interval {' to '.join(ends)}{'' if p_holm is None else f', {holm_text(p_holm)}'})."
        )
    design = None
    elsewhere = on_rounding(verdict, results.exhibit.elsewhere.get(result["id"], {}))
    if elsewhere:
        # No number of seeds mends that.
        verdict, reading = "INCONCLUSIVE", f"{elsewhere} {reading}"
    if verdict in AGAINST and not statement.ours:
        reading = f"{AGAINST_PAPER}{reading}"
    if interval.n == 1:
        reading += ONE_SEED
    elif verdict == "INCONCLUSIVE" and not (measured.shares or elsewhere):
        design, said = undecided([(Trial(statement.kind, interval, margin), found)], results)
        reading += said
    return {
        **result,
        "verdict": verdict,
        "counts": interval.reading,
        "readings": {name: said for name, (said, _) in verdicts.items()},
        "needed": design,
        "reading": reading,
        "evidence": evidence,
    }


def table_claims(results: Results, rows: Sequence[dict[str, Any]], tolerance: Tolerance) -> list[dict[str, Any]]:
    """The claims' verdicts. Where the numbers are no evidence they are kept and the verdict is INCOMPARABLE."""
    claims = claims_of(results, tolerance)
    failed = {
        (row["task"], row["metric"]): f"The base model misses the paper's: {row['reason']}."
        for row in rows
        if row["method"] == "base" and row["verdict"] in ("MISMATCH", "DIRECTION")
    }
    if results.beside_paper:
        cells = [cell for cell in results.cells if offline([cell], quantity("new_task", cell.task))]
        failed |= {(cell.task, "new_task"): OFFLINE for cell in cells}
    metrics = {statement.place: statement.metric for statement in STATEMENTS}
    for claim in claims:
        unlike = failed.get((claim["task"], metrics[claim["place"]]))
        if results.exhibit.evidence == "none":
            unlike = results.exhibit.notice
        if unlike and claim["verdict"] != "NOT RUN":
            claim |= {"verdict": "INCOMPARABLE", "reading": f"{unlike} {claim['reading']}"}
    return claims


def ledger_lines(verdict: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The ledger's lines from verdict.json: a statement stands once and has to hold on all tasks."""
    tolerance = Tolerance.model_validate((verdict or {}).get("tolerance") or {})
    claims = {claim["id"]: claim for claim in verdict["claims"]} if verdict else {}
    tasks = dict.fromkeys(claim["task"] for claim in claims.values()) or document()["items"]["table5"]["rows"]
    lines = []
    shown = [row["method"] for row in verdict["rows"] if row["arm"] == row["method"]] if verdict else []
    for statement in statements(shown):
        own = {task: claims.get(f"{statement.id}-{task}") for task in tasks}
        tests = [
            {"name": TASK_NAMES[task], "verdict": (claim or {}).get("verdict", "NOT RUN"), **_kept(claim)}
            for task, claim in own.items()
        ]
        words = [test["verdict"] for test in tests if test["verdict"] != "NOT RUN"]
        comparable = [said for said in words if said != "INCOMPARABLE"]
        none_is = bool(words) and not comparable
        margin = margin_of(statement, tolerance)
        found = [claim for claim in own.values() if claim]
        lines.append(
            {
                "id": statement.id,
                "item": "table5",
                "place": statement.place,
                "statement": statement.statement.format(margin=points(margin)),
                "ours": statement.ours,
                "test": f"{statement.test(margin)} It has to hold on every task.",
                "verdict": "INCOMPARABLE" if none_is else combine(comparable, complete=len(comparable) == len(tasks)),
                "counts": next((claim["counts"] for claim in found if claim["counts"]), None),
                "readings": {
                    name: combine(said, complete=len(said) == len(tasks))
                    for name in READINGS
                    if (said := [claim["readings"][name] for claim in found if name in claim["readings"]])
                },
                "needed": _together([claim["needed"] for claim in found if claim["verdict"] == "INCONCLUSIVE"]),
                "reading": " ".join(f"{TASK_NAMES[task]}: {claim['reading']}" for task, claim in own.items() if claim)
                or "Table 5 was not run.",
                "evidence": {"level": LEVEL, "tests": tests},
            }
        )
    return lines


def _kept(claim: dict[str, Any] | None) -> dict[str, Any]:
    return dict(claim["evidence"]) if claim else {}


def _together(designs: Sequence[dict[str, int] | None]) -> dict[str, int] | None:
    """The design that decides every one of some claims; None where one of them has none."""
    if not designs or None in designs:
        return None
    return {name: max(design.get(name, 0) for design in designs) for name in ("bases", "seeds", "more")}


def cell_rows(results: Results, cell: Cell) -> list[dict[str, Any]]:
    """One row a metric for a cell, numbers in percent; without verdicts, which need the base row."""
    return [measured_row("table5", cell, quantity(metric, cell.task)) for metric in METRICS]


def _gate(results: Results, cell: Cell, row: dict[str, Any], failed: list[Check]) -> str | None:
    """Why the base model's score misses its band, where its model and benchmark have one; None where it does not.

    The average of the six misses with any of them, whatever it is, since in a mean their errors may cancel. `failed`
    holds the benchmarks that missed so far, and is added to.
    """
    models = {run.name for run in results.base}
    if cell.method != "base" or len(models) != 1:
        return None
    if row["metric"] == "prior_average":
        names = [METRIC_NAMES[entry.benchmark] for entry in failed if entry.benchmark in PRIOR]
        return f"outside its band in {', '.join(names)}, which the mean may hide" if names else None
    found = check(*models, quantity(row["metric"], cell.task).benchmarks[0], row["mean"], row["n_items"])
    if found is None or found.passed:
        return None
    failed.append(found)
    return f"outside {found.low} to {found.high}: {found.cause} ({found.key})"


def selected_by(cell: Cell) -> str | None:
    """Who decided the validation answers by which the cell's hyper-parameters were selected; None without selection.

    "rule" is the task's scorer, "offline judge" stands in for a judge's model, "judge ..." names it.
    """
    if cell.selected is None or not cell.selected.is_file():
        return None
    return read_json(cell.selected).get("scorer")


def table_rows(results: Results, tolerance: Tolerance) -> list[dict[str, Any]]:
    """Every row of the table with its verdict, for each task the base model first."""
    rows = []
    for task in results.tasks:
        base: dict[str, dict[str, Any]] = {}
        failed: list[Check] = []
        own = [cell for cell in results.cells if cell.task == task]
        for cell in (results.base_cell(task, distinct=True), *own):
            for row in cell_rows(results, cell):
                if row["mean"] is None:
                    verdict, reason = "NOT RUN", "no score file; ask snakemake for it"
                elif not results.beside_paper:
                    verdict, reason = "INCOMPARABLE", results.exhibit.unlike
                elif missed := _gate(results, cell, row, failed):
                    verdict, reason = "MISMATCH", missed
                else:
                    reference = base.get(row["metric"]) if cell.method != "base" else None
                    measured = quantity(row["metric"], task)
                    verdict, reason = paper_verdict(results, "table5", cell, measured, row, reference, tolerance)
                row |= {"verdict": verdict, "reason": reason, "selected_by": selected_by(cell)}
                if cell.method == "base":
                    base[row["metric"]] = row
                rows.append(row)
    return rows
