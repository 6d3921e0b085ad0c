"""Table 5: skill learning and what is left of the prior capabilities, with the paper's claims about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sdft.common.provenance import Clock, manifest
from sdft.evidence.claims import HEADLINE, judge_all
from sdft.evidence.names import METRIC_NAMES, METRICS, PRIOR
from sdft.evidence.outcomes import Cell, Study
from sdft.evidence.quantities import LEVEL, OFFLINE, agreement, measured_row, offline, quantity
from sdft.evidence.verdicts import (
    NO_EVIDENCE,
    NOTICES,
    WHY_INCOMPARABLE,
    Tolerance,
    commits,
    cost,
    counts,
    notice,
    paper_verdict,
)
from sdft.evidence.versions import version_rows
from sdft.pages.layout import comma_separated, latex, markdown
from sdft.study.gate import Check, bands, check


def cell_rows(study: Study, cell: Cell) -> list[dict[str, Any]]:
    """One row a metric for a cell, numbers in percent; without verdicts, which need the base row."""
    return [measured_row("table5", cell, quantity(metric, cell.task)) for metric in METRICS]


def _gate(study: Study, cell: Cell, row: dict[str, Any], failed: list[Check]) -> str | None:
    """Why the base model's score misses its band, where its model and benchmark have one; None where it does not.

    The average of the six misses with any of them, whatever it is, since in a mean their errors may cancel. `failed`
    holds the benchmarks that missed so far, and is added to.
    """
    if cell.method != "base" or {run.name for run in study.base} != {bands()["model"]}:
        return None
    if row["metric"] == "prior_average":
        names = [METRIC_NAMES[entry.benchmark] for entry in failed if entry.benchmark in PRIOR]
        return f"outside its band in {', '.join(names)}, which the mean may hide" if names else None
    found = check(quantity(row["metric"], cell.task).benchmarks[0], row["mean"], row["n_items"])
    if found is None or found.passed:
        return None
    failed.append(found)
    return f"outside {found.low} to {found.high}: {found.cause} ({found.key})"


def judge_rows(study: Study, tolerance: Tolerance) -> list[dict[str, Any]]:
    """Every row of the table with its verdict, for each task the base model first."""
    rows = []
    for task in study.tasks:
        base: dict[str, dict[str, Any]] = {}
        failed: list[Check] = []
        own = [cell for cell in study.cells if cell.task == task]
        for cell in (study.base_cell(task, distinct=True), *own):
            for row in cell_rows(study, cell):
                if row["mean"] is None:
                    verdict, reason = "NOT RUN", "no score file; ask snakemake for it"
                elif study.scale != "paper":
                    verdict, reason = "INCOMPARABLE", WHY_INCOMPARABLE.get(study.scale, f"scale {study.scale}")
                elif missed := _gate(study, cell, row, failed):
                    verdict, reason = "MISMATCH", missed
                else:
                    reference = base.get(row["metric"]) if cell.method != "base" else None
                    measured = quantity(row["metric"], task)
                    verdict, reason = paper_verdict(study, "table5", cell, measured, row, reference, tolerance)
                row |= {"verdict": verdict, "reason": reason}
                if cell.method == "base":
                    base[row["metric"]] = row
                rows.append(row)
    return rows


def judge_claims(study: Study, rows: Sequence[dict[str, Any]], tolerance: Tolerance) -> list[dict[str, Any]]:
    """The claims' verdicts. Where the numbers are no evidence they are kept and the verdict is INCOMPARABLE."""
    results = judge_all(study, tolerance.base_margin)
    failed = {
        (row["task"], row["metric"]): f"The base model misses the paper's: {row['reason']}."
        for row in rows
        if row["method"] == "base" and row["verdict"] in ("MISMATCH", "DIRECTION")
    }
    if study.scale == "paper":
        cells = [cell for cell in study.cells if offline([cell], quantity("new_task", cell.task))]
        failed |= {(cell.task, "new_task"): OFFLINE for cell in cells}
    for result in results:
        metric = "new_task" if result["place"].endswith("new task") else "prior_average"
        if result["verdict"] == "NOT RUN":
            continue
        if study.scale in NO_EVIDENCE:
            result |= {"verdict": "INCOMPARABLE", "reading": f"{NOTICES[study.scale]} {result['reading']}"}
        elif (result["task"], metric) in failed:
            reading = f"{failed[result['task'], metric]} {result['reading']}"
            result |= {"verdict": "INCOMPARABLE", "reading": reading}
    return results


def table5(study: Study, clock: Clock) -> dict[str, Any]:
    """verdict.json of Table 5."""
    tolerance = Tolerance.of(study.tolerance)
    rows = judge_rows(study, tolerance)
    results = judge_claims(study, rows, tolerance)
    return {
        "table": study.table,
        "scale": study.scale,
        "notice": notice(study),
        "unit": "percent",
        "level": LEVEL,
        "summary": {"headline": HEADLINE, **counts(results)},
        "agreement": agreement([*study.cells, *(study.base_cell(task) for task in study.tasks)]),
        "rows": rows,
        "versions": version_rows(study),
        "claims": results,
        "tolerance": {field.name: getattr(tolerance, field.name) for field in fields(tolerance)},
        "cost": cost(study),
        "manifest": manifest(
            "tables",
            clock=clock,
            config=study.tolerance,
            seeds=sorted({run.seed for cell in study.cells for run in cell.runs}),
            inputs={"commits": commits(study)},
        ),
    }


def texts(verdict: dict[str, Any]) -> dict[str, str]:
    """The table's files by their suffix."""
    return {"csv": comma_separated(verdict["rows"]), "md": markdown(verdict), "tex": latex(verdict)}
