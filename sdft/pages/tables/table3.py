"""Table 3: the sweeps of skill learning."""

from __future__ import annotations

from typing import Any

from sdft.common.provenance import Clock
from sdft.evidence.outcomes import Results
from sdft.pages.tables.sweeps import sweep_table


def table3(results: Results, clock: Clock) -> dict[str, Any]:
    """verdict.json of Table 3."""
    return sweep_table(results, clock, "table3")
