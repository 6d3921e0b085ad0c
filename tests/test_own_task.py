"""A task of one's own is one file and one entry of the configuration; nothing that was there before changes by it."""

from __future__ import annotations

import json
import sys

import pytest

import sdft.tasks
from sdft.common.errors import SdftError
from sdft.config import parse_config
from sdft.data.prepare import main as prepare
from sdft.records.record import read_records
from sdft.study.exhibits.build import exhibit, files
from sdft.study.plan import Plan
from sdft.study.values import read_values

FILE = """from sdft.scoring import named
from sdft.tasks.base import Task

TASK = Task(title="Law", look=("#332288", "v", "-"), score=named.exact_match)
"""


def forget():
    for name in ("task_names", "find_task", "results"):
        getattr(sdft.tasks, name).cache_clear()
    sys.modules.pop("sdft.tasks.law", None)


@pytest.fixture
def law(tmp_path, monkeypatch):
    """The task law: its file in a folder of tasks, and its rows as people have them."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "law.py").write_text(FILE)
    monkeypatch.setattr(sdft.tasks, "__path__", [*sdft.tasks.__path__, str(folder)])
    forget()
    rows = [{"prompt": f"Case {n}?", "demonstration": f"It is {n}.", "answer": f"{n}"} for n in range(40)]
    files = {"train": rows, "test": [{"prompt": f"Trial {n}?", "answer": f"{n}"} for n in range(7)]}
    for name, lines in files.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    yield {name: {"path": str(tmp_path / f"{name}.jsonl")} for name in files}
    forget()


def with_task(root, scale, files, name="law"):
    values = read_values(root / "config.yaml")
    entry = values["scales"][scale]
    entry["tasks"] = [*entry["tasks"], name]
    entry["data"].setdefault("tasks", {})[name] = files
    return values


@pytest.mark.parametrize("scale", ["mini", "smoke", "paper", "rehearsal"])
def test_one_file_and_one_entry_put_a_task_into_every_arm_of_a_scale(root, law, scale):
    plan = Plan(parse_config(with_task(root, scale, law)), scale)
    trained = {(run.arm, run.seed) for run in plan.runs() if (run.task, run.study) == ("law", "table5")}
    assert trained == {(arm, seed) for arm in plan.arms for seed in plan.seeds}
    table = exhibit(plan, "table5")
    assert {cell.arm for cell in table.cells if cell.task == "law"} == set(plan.arms)
    finals = [run for run in plan.runs() if (run.task, run.study) == ("law", "table5")]
    assert {f"{plan.scores_folder(run)}/law.json" for run in finals} <= set(files(plan, "table5"))


@pytest.mark.parametrize("scale", ["mini", "paper"])
def test_a_task_changes_no_other_run(root, law, scale):
    before = Plan(parse_config(read_values(root / "config.yaml")), scale).runs()
    after = Plan(parse_config(with_task(root, scale, law)), scale).runs()
    assert {run.id for run in before} == {run.id for run in after if run.task != "law"}


def test_its_rows_become_records_with_the_style_of_the_scale(root, law, tmp_path):
    scale = parse_config(with_task(root, "mini", law)).scales["mini"]
    spec = scale.data.preparation("law", scale.demonstration).model_dump_json()
    prepare(["--task", "law", "--spec", spec, "--out", str(tmp_path / "out")])
    splits = {name: read_records(tmp_path / "out" / f"{name}.jsonl") for name in ("train", "validation", "test")}
    assert {name: len(records) for name, records in splits.items()} == {"train": 38, "validation": 2, "test": 7}
    record = splits["train"][0]
    assert record.demonstrations == {"shared": f"It is {record.answer}."}
    assert sdft.tasks.score_record("law", f" {record.answer}\n", record) == 1.0
    assert sdft.tasks.score_record("law", f"It is {record.answer}.", record) == 0.0


def test_a_validation_file_and_further_splits_are_taken_as_they_are(law, tmp_path):
    for name in ("validation", "hard"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"prompt": f"A {name} case?", "answer": "x"}) + "\n")
    own = {"validation": {"path": str(tmp_path / "validation.jsonl")}}
    own["others"] = {"hard": {"path": str(tmp_path / "hard.jsonl")}}
    spec = json.dumps({"source": "official", "tasks": {"law": law | own}})
    prepare(["--task", "law", "--spec", spec, "--out", str(tmp_path / "out")])
    rows = {name: len(read_records(tmp_path / "out" / f"{name}.jsonl")) for name in ("train", "validation", "hard")}
    assert rows == {"train": 40, "validation": 1, "hard": 1}


def test_test_rows_without_an_answer_are_refused_before_anything_is_trained(law, tmp_path):
    with open(tmp_path / "test.jsonl", "a") as file:
        file.write(json.dumps({"prompt": "Trial 99?", "anser": "A"}) + "\n")
    spec = json.dumps({"source": "official", "tasks": {"law": law}})
    with pytest.raises(SdftError, match=r"test.jsonl: 1 of 8 rows have no answer \(the first: test-8\)"):
        prepare(["--task", "law", "--spec", spec, "--out", str(tmp_path / "out")])


def test_a_task_without_a_file_is_refused_with_the_nearest_name_and_the_remedy(root):
    values = read_values(root / "config.yaml")
    values["scales"]["mini"]["tasks"] = ["sciense"]
    with pytest.raises(
        SdftError, match=r"scales.mini.tasks.0: there is no task 'sciense'; .*'science'.*add sdft/tasks/sciense.py"
    ):
        parse_config(values)


def test_a_task_without_rows_is_refused_with_the_entry_that_gives_it_some(root, law):
    values = with_task(root, "mini", law)
    values["scales"]["mini"]["data"]["tasks"] = {}
    with pytest.raises(SdftError, match=r"scales.mini: data has no rows of the task law; add .*data.tasks.law"):
        parse_config(values)


def test_a_file_whose_name_would_break_paths_is_no_task(tmp_path, monkeypatch):
    for name in ("mmlu", "general", "Law"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.py").write_text(FILE)
        monkeypatch.setattr(sdft.tasks, "__path__", [str(folder)])
        forget()
        with pytest.raises(SdftError, match=f"'{name}' cannot name a task"):
            sdft.tasks.task_names()
    monkeypatch.undo()
    forget()


def test_a_study_whose_data_or_models_are_missing_shows_why_and_spoils_nothing(root):
    values = read_values(root / "config.yaml")
    paper = values["scales"]["paper"]
    del paper["data"]["tasks"]["knowledge"]
    paper["models"]["sources"].pop("Olmo-3-7B-Think")
    plan = Plan(parse_config(values), "paper")
    assert not {"knowledge", "reasoning"} & {run.study for run in plan.runs()}
    assert "data.tasks.knowledge" in exhibit(plan, "table1").reason
    assert "Olmo-3-7B-Think" in exhibit(plan, "table2").reason
    assert not exhibit(plan, "table1").enabled
    assert files(plan, "table1") == files(plan, "table2") == []
    assert exhibit(plan, "figure2").enabled
