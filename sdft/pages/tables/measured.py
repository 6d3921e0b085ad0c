"""What Tables 1 and 2 share: a line a method, a column a measure, each beside the printed number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sdft.common.provenance import Clock, manifest
from sdft.evidence.names import MEASURE_NAMES
from sdft.evidence.outcomes import Cell, Results
from sdft.evidence.published import document, lookup
from sdft.evidence.quantities import agreement, measured_row, quantity
from sdft.evidence.rules import LEVEL
from sdft.evidence.verdicts import commits, cost, counts, notice, paper_verdict
from sdft.pages.writers import INTERVALS, counts_text, value_text

Claims = Callable[[Results, dict[str, str]], list[dict[str, Any]]]


def measured_table(
    results: Results,
    clock: Clock,
    item: str,
    task: str,
    lines: Sequence[tuple[str, str, Cell | None]],
    metrics: Sequence[str],
    claims: Claims,
    base_metric: str,
) -> dict[str, Any]:
    """verdict.json of a table with one line a cell. Claims are INCOMPARABLE where the base misses the paper's."""
    tolerance = results.exhibit.tolerance
    rows: list[dict[str, Any]] = []
    base: dict[str, dict[str, Any]] = {}
    for name, arm, cell in lines:
        for metric in metrics:
            measured = quantity(metric, task)
            # An arm that the plan does not have yet is a line all the same.
            own = cell.distinct if cell else Cell(task, arm, arm.split(".")[0], ())
            row = measured_row(item, own, measured)
            if not results.enabled:
                row |= {"mean": None, "low": None, "high": None, "n_seeds": 0, "by_seed": []}
            row |= {"label": name, "unit": measured.unit}
            if row["mean"] is None:
                reason = results.exhibit.absence or "no score file; ask snakemake"
                verdict = "NOT RUN"
            elif not results.beside_paper:
                verdict, reason = "INCOMPARABLE", results.exhibit.unlike
            else:
                reference = base.get(metric) if arm != "base" else None
                verdict, reason = paper_verdict(results, item, own, measured, row, reference, tolerance)
            row |= {"verdict": verdict, "reason": reason}
            if arm == "base":
                base[metric] = row
            rows.append(row)
    incomparable = {}
    if base and base[base_metric]["verdict"] in ("MISMATCH", "DIRECTION"):
        incomparable = dict.fromkeys(
            (claim["id"] for claim in claims(results, {})), "The base model misses the paper's."
        )
    tested = claims(results, incomparable)
    return {
        **envelope(results, item, tested),
        "unit": "percent",
        "level": LEVEL,
        "rows": rows,
        "claims": tested,
        "sections": [
            _ours(results, rows, metrics, [cell for _, _, cell in lines if cell and results.enabled]),
            _papers(item, task, metrics),
        ],
        "tolerance": tolerance.model_dump(),
        "cost": cost(results),
        "manifest": table_manifest(results, clock),
    }


def envelope(results: Results, item: str, claims: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What every table's verdict.json begins with."""
    printed = document()["items"].get(item) or document()["sweeps"].get(item) or {}
    return {
        "table": item,
        "title": f"{printed.get('place', item.capitalize())}: {printed.get('subject', item)}",
        "scale": results.scale,
        "notice": notice(results),
        "enabled": results.enabled,
        "cost_hours": results.exhibit.cost_hours,
        "standing": results.exhibit.standing,
        **({} if results.enabled else {"reason": results.exhibit.absence}),
        "summary": counts(claims),
    }


def table_manifest(results: Results, clock: Clock) -> dict[str, Any]:
    return manifest(
        "tables",
        clock=clock,
        config=results.exhibit.tolerance.model_dump(),
        seeds=sorted({run.seed for cell in results.cells for run in cell.runs}),
        inputs={"commits": commits(results)},
    )


def _ours(
    results: Results, rows: Sequence[dict[str, Any]], metrics: Sequence[str], cells: Sequence[Cell]
) -> dict[str, Any]:
    lines: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        lines.setdefault(row["label"], []).append(row)

    def text(row: dict[str, Any]) -> str:
        shown = value_text(row)
        if not results.beside_paper or row["published"] is None:
            return shown
        return f"{shown} (paper {row['published']:g}) {row['verdict'] if row['mean'] is not None else ''}".strip()

    return {
        "title": "",
        "header": ["Method", *(MEASURE_NAMES[metric] for metric in metrics)],
        "body": [[name, *map(text, own)] for name, own in lines.items()],
        "note": " ".join(filter(None, [f"{INTERVALS.capitalize()}.", counts_text(rows), agreement(cells)])),
    }


def _papers(item: str, task: str, metrics: Sequence[str]) -> dict[str, Any]:
    table = document()["items"][item]

    def text(method: str, metric: str) -> str:
        entry = lookup(item, task, method, metric)
        return "" if entry is None else f"{entry.value:g}"

    return {
        "title": "The paper's numbers",
        "paper": True,
        "header": ["Method", *(MEASURE_NAMES[metric] for metric in metrics)],
        "body": [
            [printed_name(method), *(text(method, metric) for metric in metrics)] for method in table["rows"][task]
        ],
        "note": f"Printed in {table['place']} ({table['subject']}), without intervals; targets, not results of ours.",
    }


def printed_name(method: str) -> str:
    """A method's name as the paper's tables print it."""
    return {"base": "Base", "oracle_rag": "Oracle RAG"}.get(method, method.upper())
