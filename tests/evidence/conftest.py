"""Tables of an invented world, made once."""

from __future__ import annotations

import json

import pytest
from world import make_world

from sdft.pages import tables


@pytest.fixture(scope="session")
def tabulate():
    """A function that tabulates a plan and returns its verdict.json."""

    def run(plan, out):
        tables.main(["--plan", str(plan), "--out", str(out)])
        return json.loads((out / "verdict.json").read_text())

    return run


@pytest.fixture(scope="session")
def paper_like(tmp_path_factory, tabulate):
    """Folder and verdict of a world whose effects have the paper's signs; two tasks, three seeds."""
    root = tmp_path_factory.mktemp("world")
    plan = make_world(root, tasks=("science", "tooluse"))
    verdict = tabulate(plan, root / "tables/table5")
    (root / "tables/table5/plan.json").write_text(plan.read_text())
    return root, verdict
