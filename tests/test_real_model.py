"""Files that a real model is measured on become the rows that lm_eval and the task's loader would have read."""

from __future__ import annotations

import json

import pytest

from benchmarks import real_model
from sdft.common.errors import SdftError
from sdft.common.files import write_json
from sdft.scoring import tooluse as scoring
from sdft.tasks import find_task


def test_hellaswag_is_asked_as_from_its_own_rows():
    from lm_eval.tasks.hellaswag import utils

    own = {
        "activity_label": "Home and Garden: boats",
        "ctx_a": "[header] How to dry a boat [title] Tip it over. [step] Wait.",
        "ctx_b": "then wipe",
        "endings": ["[substeps] Use a cloth.", "[step] Run  away.", "sing [title] A song.", "it down."],
    }
    query = utils.preprocess(f"{own['activity_label']}: {own['ctx_a']} {own['ctx_b'].capitalize()}")
    choices = [utils.preprocess(ending) for ending in own["endings"]]
    # What an ending begins with is part of what is asked.
    assert choices[0].startswith(" ")
    row = real_model.hellaswag({"doc": {"ind": 3, "query": query, "choices": choices, "gold": 2}})
    assert utils.preprocess(f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}") == query
    assert [utils.preprocess(ending) for ending in row["endings"]] == choices
    assert int(row["label"]) == 2


def test_the_best_answer_stands_first_and_once():
    row = {
        "Question": "Q",
        "Best Answer": "Nothing happens",
        "Correct Answers": "Nothing happens; You digest it",
        "Incorrect Answers": "You sleep; You grow; ",
    }
    found = real_model.truthfulqa(row)
    assert found["mc1_targets"] == {"choices": ["Nothing happens", "You sleep", "You grow"], "labels": [1, 0, 0]}
    assert found["mc2_targets"]["choices"] == ["Nothing happens", "You digest it", "You sleep", "You grow"]
    assert found["mc2_targets"]["labels"] == [1, 1, 0, 0]


def test_gold_calls_become_a_demonstration_that_the_scorer_takes_for_right(tmp_path):
    calls = [{"Action": "find", "Action_Input": '{"name": "Ann"}'}, {"Action": "send", "Action_Input": '{"to": "a"}'}]
    row = {"prompt": "Send Ann a letter.", "name": "Post", "golden_answer": calls}
    (tmp_path / "rows.json").write_text(json.dumps([real_model.shown(row)]))
    (record,) = find_task("tooluse").load(tmp_path / "rows.json")
    assert scoring.score(record.demonstrations["expert"], record.answer)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SdftError, match="Rowan/hellaswag is made; give --data another folder"):
        real_model.LocalFiles(tmp_path).digests()


def test_the_record_has_each_score_with_its_uncertainty_and_no_path_of_the_machine(tmp_path):
    with pytest.raises(SdftError, match="holds no scores; run the commands of docs/real-model.md first"):
        real_model.record(tmp_path)
    manifest = {
        "inputs": {"model": {"path": str(tmp_path), "sha256": {"model.safetensors": "ab"}}},
        "versions": {"torch": "2"},
        "seconds": 3.0,
    }
    score = {"benchmark": "mmlu", "metric": "acc", "value": 0.25, "n": 4, "manifest": manifest}
    score["metrics"] = {"acc": 0.25, "mmlu_anatomy/acc": 1.0}
    write_json(tmp_path / "scores/mmlu/mmlu.json", score)
    write_json(tmp_path / "store/manifest.json", {"commits": {"cais/mmlu": "sha256:cd"}})
    found = real_model.record(tmp_path)
    assert str(tmp_path) not in json.dumps(found)
    assert found["weights_sha256"] == "ab"
    assert found["scores"]["mmlu"]["metrics"] == {"acc": 0.25}
    assert "| mmlu | acc | 25.0 | 21.7 | 4.6 to 69.9 | 4 |" in real_model.table(found)


@pytest.mark.parametrize(
    ("value", "items", "error", "low", "high"), [(0.5, 100, 0.05, 0.404, 0.596), (0.0, 32, 0.0, 0.0, 0.107)]
)
def test_a_share_of_nothing_has_an_interval_too(value, items, error, low, high):
    found = real_model.uncertainty(value, items)
    assert found == pytest.approx({"standard_error": error, "low": low, "high": high}, abs=1e-3)
