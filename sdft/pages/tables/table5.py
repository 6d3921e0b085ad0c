"""Table 5: skill learning and what is left of the prior capabilities, with the paper's claims about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sdft.common.provenance import Clock, manifest
from sdft.evidence.claims import HEADLINE, judge_all
from sdft.evidence.names import METRIC_NAMES, METRICS, PRIOR
from sdft.evidence.outcomes import Cell, Results
from sdft.evidence.quantities import LEVEL, OFFLINE, agreement, measured_row, offline, quantity
from sdft.evidence.verdicts import (
    commits,
    cost,
    counts,
    notice,
    paper_verdict,
)
from sdft.evidence.versions import version_rows
from sdft.pages.layout import comma_separated, latex, markdown
from sdft.study.gate import Check, check
from sdft.study.schema import Tolerance


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


def judge_rows(results: Results, tolerance: Tolerance) -> list[dict[str, Any]]:
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
                row |= {"verdict": verdict, "reason": reason}
                if cell.method == "base":
                    base[row["metric"]] = row
                rows.append(row)
    return rows


def judge_claims(results: Results, rows: Sequence[dict[str, Any]], tolerance: Tolerance) -> list[dict[str, Any]]:
    """The claims' verdicts. Where the numbers are no evidence they are kept and the verdict is INCOMPARABLE."""
    tested = judge_all(results, tolerance.base_margin)
    failed = {
        (row["task"], row["metric"]): f"The base model misses the paper's: {row['reason']}."
        for row in rows
        if row["method"] == "base" and row["verdict"] in ("MISMATCH", "DIRECTION")
    }
    if results.beside_paper:
        cells = [cell for cell in results.cells if offline([cell], quantity("new_task", cell.task))]
        failed |= {(cell.task, "new_task"): OFFLINE for cell in cells}
    for result in tested:
        metric = "new_task" if result["place"].endswith("new task") else "prior_average"
        if result["verdict"] == "NOT RUN":
            continue
        if results.exhibit.evidence == "none":
            result |= {"verdict": "INCOMPARABLE", "reading": f"{results.exhibit.notice} {result['reading']}"}
        elif (result["task"], metric) in failed:
            reading = f"{failed[result['task'], metric]} {result['reading']}"
            result |= {"verdict": "INCOMPARABLE", "reading": reading}
    return tested


def table5(results: Results, clock: Clock) -> dict[str, Any]:
    """verdict.json of Table 5."""
    tolerance = results.exhibit.tolerance
    rows = judge_rows(results, tolerance)
    tested = judge_claims(results, rows, tolerance)
    return {
        "table": results.exhibit.name,
        "scale": results.scale,
        "notice": notice(results),
        "standing": results.exhibit.standing,
        "unit": "percent",
        "level": LEVEL,
        "summary": {"headline": HEADLINE, **counts(tested)},
        "agreement": agreement([*results.cells, *(results.base_cell(task) for task in results.tasks)]),
        "rows": rows,
        "versions": version_rows(results),
        "claims": tested,
        "tolerance": tolerance.model_dump(),
        "cost": cost(results),
        "manifest": manifest(
            "tables",
            clock=clock,
            config=results.exhibit.tolerance.model_dump(),
            seeds=sorted({run.seed for cell in results.cells for run in cell.runs}),
            inputs={"commits": commits(results)},
        ),
    }


def texts(verdict: dict[str, Any]) -> dict[str, str]:
    """The table's files by their suffix."""
    return {"csv": comma_separated(verdict["rows"]), "md": markdown(verdict), "tex": latex(verdict)}
