"""pass@k counts right samples, and an interrupted command ends as an uninterrupted one."""

from __future__ import annotations

import json

import pytest

from sdft.common.errors import SdftError
from sdft.evaluate import passk, sampling
from sdft.records.record import Record, write_records
from sdft.statistics import pass_at_k


@pytest.fixture
def run(model_folder, tmp_path):
    records = [Record(f"m{n}", [{"role": "user", "content": f"w{n}"}], answer=f"w{n % 3}") for n in range(6)]
    write_records(tmp_path / "test.jsonl", records)

    def call(*arguments, out="out.json"):
        options = ["--model", model_folder, "--task", "medical", "--data", tmp_path / "test.jsonl", "--samples", 12]
        options += ["--batch-size", 24, "--max-new-tokens", 6, "--device", "cpu", "--out", tmp_path / out]
        passk.main([str(option) for option in (*options, *arguments)])
        return json.loads((tmp_path / out).read_text())

    return call


def test_counts_and_estimates(run):
    result = run()
    assert [item["id"] for item in result["items"]] == [f"m{n}" for n in range(6)]
    counts = [item["correct"] for item in result["items"]]
    assert 0 < sum(counts) < 6 * 12
    assert list(result["pass_at_k"]) == ["1", "2", "4", "8", "12"]
    assert result["pass_at_k"]["1"] == pytest.approx(sum(counts) / (6 * 12))
    for k, value in result["pass_at_k"].items():
        assert value == pytest.approx(sum(pass_at_k(12, c, int(k)) for c in counts) / 6)
    assert (result["n_samples"], result["temperature"], result["top_p"]) == (12, 1.0, 0.95)


def test_prompts_that_are_cut_are_counted(run, capsys):
    assert run()["prompts_cut"] == 0
    result = run("--max-prompt-tokens", 3, out="short.json")
    assert result["prompts_cut"] == sum(item["cut"] for item in result["items"]) == 6
    assert "6 of 6 prompts are too long and were cut" in capsys.readouterr().err
    with pytest.raises(SdftError, match="--overlong truncate_left"):
        run("--max-prompt-tokens", 3, "--overlong", "error", out="none.json")


def test_a_block_is_decided_by_its_own_records(run):
    assert run("--limit", 4, out="some.json")["items"] == run()["items"][:4]


def test_an_interrupted_command_continues(run, monkeypatch, tmp_path):
    whole, asked, real = run(), [], sampling.sample

    def counted(model, tokenizer, task, records, *rest):
        asked.append([record.id for record in records])
        if len(asked) == 2:
            raise KeyboardInterrupt
        return real(model, tokenizer, task, records, *rest)

    monkeypatch.setattr(sampling, "sample", counted)
    with pytest.raises(KeyboardInterrupt):
        run(out="cut.json")
    # As a machine that fails in the middle of a line leaves it.
    with open(tmp_path / "cut.json.state/rows.jsonl", "a") as file:
        file.write('[{"id": "m2", "corr')
    again = run(out="cut.json")
    assert asked == [["m0", "m1"], ["m2", "m3"], ["m2", "m3"], ["m4", "m5"]]
    assert again["items"] == whole["items"]
    assert not (tmp_path / "cut.json.state/rows.jsonl").exists()
    assert run(out="cut.json") == again
    assert len(asked) == 4


def test_other_settings_do_not_continue_what_was_begun(run, monkeypatch):
    asked, real = [], sampling.sample

    def counted(model, tokenizer, task, records, *rest):
        asked.append(records[0].id)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return real(model, tokenizer, task, records, *rest)

    monkeypatch.setattr(sampling, "sample", counted)
    with pytest.raises(KeyboardInterrupt):
        run()
    run("--seed", 1)
    assert asked == ["m0", "m2", "m0", "m2", "m4"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--temperature", "0"], "must be above 0"),
        (["--top-p", "0"], "top_p: Input should be greater than 0"),
        (["--task", "medicl"], "did you mean 'medical'"),
        (["--context", "shared"], "'m0' has no demonstration of style 'shared'"),
        (["--data", "absent.jsonl"], "absent.jsonl does not exist"),
        (["--model", "nosuch/model", "--data", "absent.jsonl"], "the model nosuch/model does not exist"),
    ],
)
def test_bad_arguments_are_refused(run, arguments, reason):
    with pytest.raises(SdftError, match=reason):
        run(*arguments)
