"""A method, a task or a model is one file and one entry of the configuration, and leaves what is finished alone.

tests/house/test_extend.py makes what a dry run plans here.
"""

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


def method(house):
    (house.folder / "sdft/methods/twice.py").write_text(METHOD)
    house.configure(lambda study: study["arms"].update(twice={"method": "twice", "grid": GRID}))


def task(house):
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


def model(house):
    shutil.copytree(house.folder / "released/mini/xs-s1", house.folder / "models/mine")

    def add(study):
        study["models"]["sources"] = {"mine": {"path": "models/mine"}}
        study["arms"]["sft.mine"] = {"method": "sft", "grid": GRID, "models": ["mine"]}

    house.configure(add)


def test_a_finished_study_has_nothing_left_to_do(finished):
    assert finished.planned() == []
    assert len(finished.times()) > 20


# The base model is measured on every task by one job, which keeps the replies that it has.
@pytest.mark.parametrize(
    ("add", "name", "besides"), [(method, "twice", "-"), (task, "law", "scores/base/"), (model, "mine", "-")]
)
def test_what_is_added_is_made_and_nothing_that_was_there(house, add, name, besides):
    add(house)
    planned = [path for _, path in house.remade()]
    assert any(name in path for path in planned)
    assert [path for path in planned if name not in path and not path.startswith(besides)] == []
