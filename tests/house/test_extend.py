"""The worked examples of docs/extend.md do what the page says: an addition stands in Table 5, Figure 4 and the ledger.

Nothing that was finished is made again; tests/house/test_one_file.py sees that for each kind of addition alone.
"""

from __future__ import annotations

import json
import re
import shutil

import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("house")]


@pytest.fixture(scope="module")
def examples(root):
    """The fenced blocks of the page by their titles, in their order."""
    text = (root / "docs/extend.md").read_text()
    found = re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', text, re.S)
    assert len(found) == 7
    return found


def test_the_three_examples_of_the_page_join_a_finished_study(house, examples):
    entries = {}
    for title, content in examples:
        if title.startswith("config/"):
            entries.setdefault(title.split(": ")[1], {}).update(yaml.safe_load(content))
        elif title.endswith(".py"):
            (house.folder / title).write_text(content)
    (row,) = (json.loads(content) for title, content in examples if title.endswith(".jsonl"))
    rows = [json.dumps(row).replace("case 7", f"case {number}") + "\n" for number in range(56)]
    (house.folder / "law").mkdir()
    (house.folder / "law/train.jsonl").write_text("".join(rows[:48]))
    (house.folder / "law/test.jsonl").write_text("".join(rows[48:]))
    shutil.copytree(house.folder / "released/mini/xs-s1", house.folder / entries["models.sources"]["mine"]["path"])

    def add(study):
        study["arms"] |= entries["arms"]
        study["tasks"].append("law")
        study["data"]["tasks"] = entries["data.tasks"]
        study["models"]["sources"] = entries["models.sources"]

    house.configure(add)
    # The base model is measured on every task by one job, which keeps the replies that it has.
    before = {path: time for path, time in house.times().items() if not path.startswith("scores/base/")}
    house.make()
    after = house.times()
    assert {path: after.get(path) for path in before} == before
    assert house.planned() == []
    table, figure, ledger = (
        house.text(name) for name in ("tables/table5/table.md", "figures/figure4.json", "claims/ledger.json")
    )
    for name in ("SFT near base", "Law", "mine"):
        assert name in table
    for name in ('"near_base"', '"law"', '"sft.mine"'):
        assert name in figure
    ours = {entry["statement"]: entry["ours"] for entry in json.loads(ledger)["statements"]}
    assert ours["SFT near base forgets less than SFT, whichever the task."]
    assert "Law" in house.text("claims/ledger.md")
    selected = json.loads(house.text("selected/science/near_base.json"))
    assert {entry["hyperparameters"]["pull"] for entry in selected["ranking"]} == {0.1, 1.0}
