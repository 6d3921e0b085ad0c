"""A method, a task or a model is one file and one entry of the configuration, and leaves what is finished alone."""

from __future__ import annotations

import json
import shutil

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("house")]

GRID = {"learning_rate": [1e-3], "epochs": [1], "batch_size": [16]}
METHOD = '''"""SFT that takes every token twice as seriously."""

from sdft.methods.sft import SFT


class Twice(SFT):
    title = "Twice"
    look = ("#123456", "X")

    def loss(self, batch, student, teacher):
        found = super().loss(batch, student, teacher)
        return found._replace(loss=2 * found.loss)
'''
TASK = '''"""Law: which court decides."""

from sdft.scoring import named
from sdft.tasks.base import Task

TASK = Task(title="Law", look=("#332288", "v", "-"), score=named.contains)
'''


def continued(house, new, besides="-"):
    """Make what is new, all of which `new` is a part of the path of; nothing else is planned or touched.

    besides: the start of paths that are made again as well.
    """
    before = {path: time for path, time in house.times().items() if not path.startswith(besides)}
    planned = house.remade()
    assert planned
    assert [path for _, path in planned if new not in path and not path.startswith(besides)] == []
    house.make()
    after = house.times()
    assert {path: after.get(path) for path in before} == before
    assert house.planned() == []


def test_a_finished_study_has_nothing_left_to_do(finished):
    assert finished.planned() == []
    assert len(finished.times()) > 20


def test_a_method_is_one_file_and_one_arm(house):
    (house.folder / "sdft/methods/twice.py").write_text(METHOD)
    house.configure(lambda study: study["arms"].update(twice={"method": "twice", "grid": GRID}))
    continued(house, "twice")
    assert "Twice" in house.text("tables/table5/table.md")
    assert '"twice"' in house.text("figures/figure4.json")
    asked = {entry["statement"]: entry["ours"] for entry in json.loads(house.text("claims/ledger.json"))["statements"]}
    assert asked["Twice forgets less than SFT, whichever the task."]


def test_a_task_is_one_file_and_its_rows(house):
    rows = [
        {
            "prompt": f"which court hears case {n} ?",
            "demonstration": f"case {n} : so the court is high .",
            "answer": "high",
        }
        for n in range(56)
    ]
    for name, part in (("train", rows[:48]), ("test", rows[48:])):
        path = house.folder / f"law/{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in part))
    (house.folder / "sdft/tasks/law.py").write_text(TASK)

    def add(study):
        study["tasks"].append("law")
        study["data"]["tasks"] = {"law": {"train": {"path": "law/train.jsonl"}, "test": {"path": "law/test.jsonl"}}}

    house.configure(add)
    # The base model is measured on every task by one job, which keeps the replies that it has.
    continued(house, "law", besides="scores/base/")
    assert "Law" in house.text("tables/table5/table.md")
    assert '"law"' in house.text("figures/figure4.json")
    assert "Law" in house.text("claims/ledger.md")


def test_a_local_model_is_one_entry(house):
    shutil.copytree(house.folder / "released/mini/xs-s1", house.folder / "models/mine")

    def add(study):
        study["models"]["sources"] = {"mine": {"path": "models/mine"}}
        study["arms"]["sft.mine"] = {"method": "sft", "grid": GRID, "models": ["mine"]}

    house.configure(add)
    continued(house, "mine")
    assert "mine" in house.text("tables/table5/table.md")
    assert '"sft.mine"' in house.text("figures/figure4.json")
