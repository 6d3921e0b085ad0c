"""Interruptions in random order change no byte of weights, tables and figures, and stop nothing for good.

`SDFT_INTERRUPTIONS=450,50` sets how many of the training command and of the workflow: 40, and of the workflow none by
default, since each costs a start of Snakemake; tests/workflow/test_smoke.py kills one of each there.
"""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
TRAININGS, WORKFLOWS = map(int, os.environ.get("SDFT_INTERRUPTIONS", "40,0").split(","))


@pytest.fixture(scope="module")
def interruptions():
    spec = importlib.util.spec_from_file_location("interruptions", Path(__file__).with_name("interruptions.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_trainings_that_are_interrupted_end_with_the_same_weights_and_metrics(interruptions, tmp_path):
    found = interruptions.interrupt_trainings(TRAININGS, tmp_path, random.Random(0))
    assert found["different"] == []
    assert sum(found["interruptions"].values()) == TRAININGS
    assert found["trainings"] > 2


@pytest.mark.skipif(WORKFLOWS == 0, reason="SDFT_INTERRUPTIONS names no number of interruptions of the workflow")
def test_a_workflow_that_is_interrupted_ends_with_the_same_results(interruptions, house):
    before = interruptions.products(house.results)
    for part in ("runs", "scores", "tables", "figures", "claims"):
        shutil.rmtree(house.results / part)
    targets = [f"results/house/{name}" for name in interruptions.PRODUCTS]
    found = interruptions.interrupt_workflow(WORKFLOWS, house, targets, random.Random(0))
    assert found["exit_status"] == 0, (house.folder / "interrupted.log").read_text()[-4000:]
    assert sum(found["interruptions"].values()) > 0
    assert interruptions.products(house.results) == before
