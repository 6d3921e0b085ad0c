"""Table 1: new facts from texts."""

from __future__ import annotations

from typing import Any

from sdft.common.provenance import Clock
from sdft.evidence.exhibits import table1 as numbers
from sdft.evidence.outcomes import Results
from sdft.pages.tables.measured import measured_table


def table1(results: Results, clock: Clock) -> dict[str, Any]:
    """verdict.json of Table 1."""
    lines = [(name, arm, numbers.cell(results, arm)) for name, arm in numbers.LINES]
    return measured_table(
        results, clock, "table1", numbers.TASK, lines, numbers.METRICS, numbers.table1_claims, "strict"
    )
