"""Table 2: a reasoning model that is taught with answers alone."""

from __future__ import annotations

from typing import Any

from sdft.common.provenance import Clock
from sdft.evidence.exhibits import table2 as numbers
from sdft.evidence.outcomes import Results
from sdft.pages.tables.measured import measured_table


def table2(results: Results, clock: Clock) -> dict[str, Any]:
    """verdict.json of Table 2."""
    lines = [(name, arm, numbers.cell(results, arm)) for name, arm in numbers.LINES]
    return measured_table(
        results, clock, "table2", numbers.TASK, lines, numbers.METRICS, numbers.table2_claims, "new_task"
    )
