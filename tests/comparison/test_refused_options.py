"""Options of a comparison that cannot work are refused before anything is trained."""

from __future__ import annotations

import json

import pytest

import sdft
from sdft.common.errors import SdftError
from sdft.comparison.capabilities import protocol
from sdft.comparison.run import Comparison
from sdft.study.definitions import own_folder


@pytest.fixture
def compare(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    # Whatever gets so far is not refused.
    monkeypatch.setattr(Comparison, "run", lambda self: self)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"prompt": f"what is {n}", "completion": "red"}) + "\n" for n in range(10)))
    (tmp_path / "folder.jsonl").mkdir()
    monkeypatch.chdir(tmp_path)

    def run(**options):
        return sdft.compare(**{"model": "absent", "train": str(rows), "out": "out"} | options)

    return run


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"out": ""}, "out: "),
        ({"methods": "sft,sft"}, "methods: .* repeats 'sft'"),
        ({"learning_rate": ["1e-3", "0.001"]}, "learning_rate: .* repeats 0.001"),
        ({"forgetting": "mmlu,mmlu"}, "forgetting: .* names mmlu twice"),
        ({"forgetting": ["gsm8k:a", "gsm8k:b"]}, "forgetting: .* names gsm8k twice"),
        ({"forgetting": "none,auto"}, "forgetting: none stands alone"),
        ({"forgetting": ["mmlu", "auto"]}, "forgetting: auto stands alone"),
        ({"forgetting": ":acc"}, "forgetting: ':acc' is neither TASK nor TASK:METRIC"),
        ({"forgetting": "mmlu:"}, "forgetting: 'mmlu:' is neither"),
        ({"forgetting": ""}, "forgetting: "),
        ({"train": "folder.jsonl"}, "folder.jsonl is a folder, and a file is needed"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(compare, options, reason):
    with pytest.raises(SdftError, match=reason):
        compare(**options)


@pytest.mark.parametrize(
    ("judge", "reason"),
    [
        ({"model": 1}, "--judge is not right: model: "),
        ({"model": "m", "base_url": "nowhere"}, "--judge is not right: base_url: "),
        ({"model": "m", "modell": "m"}, "modell: there is no such key"),
        ({"model": "m"}, "the judge m needs an API key"),
    ],
)
def test_a_judge_that_cannot_be_asked_is_refused_before_the_model_is_looked_for(compare, judge, reason):
    with pytest.raises(SdftError, match=reason):
        compare(scorer="judge", judge=judge)


def test_a_judge_with_an_address_is_taken(compare):
    with pytest.raises(SdftError, match="the model absent does not exist"):
        compare(scorer="judge", judge={"model": "m", "base_url": "http://localhost:1/v1"})


def test_a_metric_or_task_that_lm_eval_lacks_is_refused_by_its_definitions(root, tmp_path, monkeypatch):
    folder = own_folder() / "gsm8k"
    monkeypatch.setattr("sdft.comparison.capabilities.own_folder", lambda: folder)
    model = root / "released/mini/xs-s0"
    for asked, reason in (
        ("gsm8k:nosuch", "gsm8k has no metric 'nosuch'"),
        ("gsm9k", "no task 'gsm9k'; did you mean 'gsm8k'"),
    ):
        with pytest.raises(SdftError, match=reason):
            protocol([asked], model, 4, tmp_path)
    found, _ = protocol(["gsm8k:exact_match"], model, 4, tmp_path)
    assert found["tasks"]["gsm8k"]["metric"] == "exact_match,strict-match"


def test_a_benchmark_that_cannot_be_set_up_is_told_before_the_first_training(compare, root, monkeypatch):
    def refuse(runner, names):
        raise SdftError(f"no data of {', '.join(names)}")

    monkeypatch.setattr("sdft.comparison.run.check_benchmarks", refuse)
    with pytest.raises(SdftError, match="no data of mmlu"):
        compare(model=str(root / "released/mini/xs-s0"), forgetting="mmlu", items=4)
