"""A candidate is trained and scored; one that diverges is a result, not the end of the study."""

from __future__ import annotations

import json
import shutil

import pytest
from conftest import make_records, make_spec, make_tokenizer

from sdft.common.errors import SdftError
from sdft.common.files import read_json, write_json
from sdft.learning import candidate as sweep
from sdft.records.prompts import render
from sdft.records.record import write_records


def candidate(folder, spec, *more):
    write_json(folder / "run.json", spec.model_dump(mode="json"))
    write_records(folder / "validation.jsonl", make_records(6))
    out = folder / "validation.json"
    paths = {"run": folder / "run.json", "validation": folder / "validation.jsonl", "out": out}
    options = [part for name, path in paths.items() for part in (f"--{name}", str(path))]
    sweep.main(
        [*options, "--prior-config", json.dumps({"tasks": {}}), "--max-new-tokens", "4", "--dtype", "float32", *more]
    )
    return read_json(out)


def test_a_training_that_diverges_scores_nothing_and_says_why(world, tmp_path):
    record = candidate(tmp_path, make_spec(world, "sft", learning_rate=1e30, warmup_steps=0))
    assert record["validation"] == {"value": 0.0, "n": 6}
    assert "the loss is nan" in record["diverged"]
    assert record["hyperparameters"]["learning_rate"] == 1e30


def test_prompts_and_rows_that_were_cut_are_counted(world, tmp_path):
    spec = make_spec(world, "sft", epochs=1, max_prompt_tokens=8)
    record = candidate(tmp_path, spec, "--max-prompt-tokens", "8")
    validation = [len(render(make_tokenizer(), row.prompt)) > 8 for row in make_records(6)]
    assert record["prompts_cut"] == sum(validation) > 0
    assert record["rows_cut"] == sum(len(render(make_tokenizer(), row.prompt)) > 8 for row in make_records())
    with pytest.raises(SdftError, match="too long"):
        candidate(tmp_path, spec, "--max-prompt-tokens", "8", "--overlong", "error")


def test_a_result_that_was_deleted_is_put_back_and_other_data_are_another_result(world, tmp_path, monkeypatch):
    shutil.copytree(world, tmp_path / "world")
    train, spec = tmp_path / "world/train.jsonl", make_spec(tmp_path / "world", "sft")
    first, whole = candidate(tmp_path, spec), train.read_bytes()
    # Snakemake deletes the output when it starts the job again, and a damaged row ends the job.
    (tmp_path / "validation.json").unlink()
    train.write_bytes(whole + b'{"id": "torn')
    with pytest.raises(SdftError, match=r"train.jsonl:13"):
        candidate(tmp_path, spec)
    train.write_bytes(whole)
    monkeypatch.setattr(sweep, "train", None)
    assert candidate(tmp_path, spec) == first
    with pytest.raises(TypeError):
        candidate(tmp_path, spec, "--keep-weights")
    train.write_bytes(b"".join(whole.splitlines(keepends=True)[:8]))
    with pytest.raises(TypeError):
        candidate(tmp_path, spec)


def test_another_failure_is_no_result(world, tmp_path):
    with pytest.raises(SdftError, match="no ema_rate"):
        candidate(tmp_path, make_spec(world, "sdft", ema_rate=None))
    assert not (tmp_path / "validation.json").exists()
