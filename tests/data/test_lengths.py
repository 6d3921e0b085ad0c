"""Prompts are counted before they are trained on, and those that do not fit are named."""

from __future__ import annotations

import json

import pytest

from sdft.common.errors import SdftError
from sdft.learning.lengths import count, main, summary
from sdft.methods.settings import TrainingSettings
from sdft.models.files import load_tokenizer
from sdft.models.hub import invent_tokenizer
from sdft.models.random_weights import make
from sdft.models.schema import Evaluation
from sdft.records.prompts import render
from sdft.records.record import Record, write_records
from sdft.tasks import read_task


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    invent_tokenizer(folder / "tokenizer")
    make("qwen2", folder / "tokenizer", folder / "model", context=256)
    return folder / "model"


def record(number, words):
    prompt = [{"role": "user", "content": "word " * words}]
    return Record(f"r{number}", prompt, {"expert": "an answer"}, "A")


def test_lengths_are_those_of_the_rendered_prompts(folder):
    tokenizer = load_tokenizer(folder)
    records = [record(number, words) for number, words in enumerate((3, 10, 40))]
    found = count(tokenizer, records, "expert", TrainingSettings(max_new_tokens=50), 256)
    sizes = sorted(len(render(tokenizer, entry.prompt)) for entry in records)
    assert (found["student_prompt"]["median"], found["student_prompt"]["max"]) == (sizes[1], sizes[2])
    assert found["teacher_prompt"]["median"] > found["student_prompt"]["median"] + found["demonstration"]["median"]
    assert found["limit"] == 206


def test_a_summary_counts_what_is_longer_than_the_official_limits():
    found = summary([100, 600, 1024, 1025, 3000])
    assert found["longer_than"] == {"512": 4, "1024": 2, "2048": 1}
    assert (found["n"], found["max"], found["median"]) == (5, 3000, 1024)


@pytest.mark.parametrize("overlong", ["error", "drop", None])
def test_prompts_that_do_not_fit_are_refused_or_reported_as_chosen(folder, tmp_path, capsys, overlong):
    for split in ("train", "validation", "test"):
        write_records(
            tmp_path / f"{split}.jsonl", [record(0, 3), record(1, 400)] if split == "train" else [record(2, 3)]
        )
    # The default cuts, and says so.
    own = {"overlong": overlong} if overlong else {}
    settings = TrainingSettings(max_new_tokens=50, **own).model_dump_json()
    arguments = ["--model", str(folder), "--data", str(tmp_path), "--demonstration", "expert", "--settings", settings]
    out = tmp_path / "lengths.json"
    if overlong == "error":
        with pytest.raises(SdftError, match=r"1 of 2 train rows.*r1.*overlong"):
            main([*arguments, "--out", str(out)])
        assert not out.exists()
    else:
        main([*arguments, "--out", str(out)])
        found = json.loads(out.read_text())["splits"]["train"]
        assert found["over_limit"] == ["r1"]
        assert (found["cut"], found["left_out"]) == ((0, 1) if overlong else (1, 0))
        said = capsys.readouterr().out
        assert f"1 of 2 train rows are longer than 206 tokens; they will be {'left' if overlong else 'cut'}" in said
        assert "0 of 1 test rows" in said


def test_prompts_of_a_test_are_counted_as_the_evaluation_takes_them(folder, tmp_path, capsys):
    tokenizer = load_tokenizer(folder)
    # Too long beside a completion of 50 tokens, and not for the context.
    longer = next(one for one in (record(1, words) for words in range(400)) if len(render(tokenizer, one.prompt)) > 206)
    for split in ("train", "validation", "test"):
        write_records(tmp_path / f"{split}.jsonl", [record(0, 3), longer] if split == "test" else [record(0, 3)])
    arguments = ["--model", str(folder), "--data", str(tmp_path), "--demonstration", "expert"]
    arguments += [
        "--settings",
        TrainingSettings(max_new_tokens=50).model_dump_json(),
        "--out",
        str(tmp_path / "x.json"),
    ]
    for evaluation, cut, limit in ((Evaluation(), 0, 255), (Evaluation(max_prompt_tokens=100), 1, 100)):
        main([*arguments, "--evaluation", evaluation.model_dump_json()])
        assert f"{cut} of 2 test rows are longer than {limit} tokens" in capsys.readouterr().out
        assert json.loads((tmp_path / "x.json").read_text())["splits"]["test"]["cut"] == cut
    with pytest.raises(SdftError, match=r"1 of 2 test rows are longer than 100 tokens .* evaluation.overlong to trunc"):
        main([*arguments, "--evaluation", Evaluation(max_prompt_tokens=100, overlong="error").model_dump_json()])


def test_the_real_tool_use_prompts_exceed_the_official_limit_where_others_found_it(real_data):
    """A tenth of the prompts is longer than 1,024 tokens under the real tokenizer."""
    tokenizer = load_tokenizer(real_data / "tokenizers/qwen2.5-instruct")
    found = count(tokenizer, read_task("tooluse", real_data / "tooluse/eval_97"), None, TrainingSettings(), 32768)
    assert found["student_prompt"]["longer_than"]["1024"] == 10
    assert (found["student_prompt"]["median"], found["student_prompt"]["max"]) == (674, 1187)
    assert found["over_limit"] == []
