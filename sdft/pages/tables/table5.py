"""Table 5: skill learning and what is left of the prior capabilities, with the paper's claims about them."""

from __future__ import annotations

from typing import Any

from sdft.common.provenance import Clock, manifest
from sdft.evidence.exhibits.table5 import HEADLINE, table_claims, table_rows
from sdft.evidence.outcomes import Results
from sdft.evidence.quantities import LEVEL, agreement
from sdft.evidence.verdicts import commits, cost, counts, notice
from sdft.evidence.versions import version_rows
from sdft.pages.layout import comma_separated, latex, markdown


def table5(results: Results, clock: Clock) -> dict[str, Any]:
    """verdict.json of Table 5."""
    tolerance = results.exhibit.tolerance
    rows = table_rows(results, tolerance)
    claims = table_claims(results, rows, tolerance)
    return {
        "table": results.exhibit.name,
        "scale": results.scale,
        "notice": notice(results),
        "standing": results.exhibit.standing,
        "unit": "percent",
        "level": LEVEL,
        "summary": {"headline": HEADLINE, **counts(claims)},
        "agreement": agreement([*results.cells, *(results.base_cell(task) for task in results.tasks)]),
        "rows": rows,
        "versions": version_rows(results),
        "claims": claims,
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
