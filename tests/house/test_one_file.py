"""A method, a task or a model is one file and one entry of the configuration, and leaves what is finished alone."""

from __future__ import annotations

import csv
import json

import pytest
from conftest import GRID, write_rows

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("house")]


def shown(house):
    """Rows of Table 5, points of Figure 4 and lines of the ledger, as text."""
    table = json.loads((house.results / "tables/table5/verdict.json").read_text())["rows"]
    return table


def test_nothing_is_left_to_do(finished):
    assert "Nothing to be done" in finished.snakemake("-n")
    print(json.dumps(shown(finished), indent=1)[:6000])
    print((finished.results / "figures/figure4.json").read_text()[:6000])
    print((finished.results / "claims/ledger.json").read_text()[:6000])
    assert 0
