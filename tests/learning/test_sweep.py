"""A candidate is trained and scored; one that diverges is a result, not the end of the study."""

from __future__ import annotations

import json
import shutil

import pytest
from conftest import make_records, make_spec, make_tokenizer

from sdft.common.code import here
from sdft.common.errors import SdftError
from sdft.common.files import read_json, write_json
from sdft.learning import candidate as sweep
from sdft.learning import run, select
from sdft.learning.waiting import let_go
from sdft.records.prompts import render
from sdft.records.record import write_records
from sdft.study import rerun


def candidate(folder, spec, *more, records=6):
    write_json(folder / "run.json", spec.model_dump(mode="json"))
    write_records(folder / "validation.jsonl", make_records(records)[-6:])
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
    monkeypatch.setattr(sweep, "SMALL_BYTES", 0)
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


CHOICE = """task: own_choice
dataset_path: json
test_split: test
output_type: multiple_choice
doc_to_text: "{{prompt}}"
doc_to_choice: choices
doc_to_target: gold
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""
TEXT = """task: own_text
dataset_path: json
test_split: test
output_type: generate_until
doc_to_text: "{{prompt}}"
doc_to_target: ""
generation_kwargs: {until: ["<end>"], max_gen_toks: 4, do_sample: false}
process_results: !function own_text.score
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""
SCORE = """
def score(doc, results):
    return {'acc': float(len(results[0]) < 0)}

def otherwise(doc, results):
    return {'acc': float(len(results[0]) >= 0)}
"""


@pytest.fixture
def prior(tmp_path):
    """Two prior benchmarks, one of choices and one of texts."""
    tasks, data = tmp_path / "tasks", tmp_path / "data"
    tasks.mkdir()
    data.mkdir()
    (tasks / "own_choice.yaml").write_text(CHOICE)
    (tasks / "own_text.yaml").write_text(TEXT)
    (tasks / "own_text.py").write_text(SCORE)
    rows = [{"id": f"m{n}", "prompt": f"w{n}", "choices": ["w3", "w4 w5"], "gold": int(n < 2)} for n in range(6)]
    for name in ("mmlu", "ifeval"):
        (data / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    named = {"mmlu": {"task": "own_choice", "metric": "acc"}, "ifeval": {"task": "own_text", "metric": "acc"}}
    return {"include_path": str(tasks), "data_dir": str(data), "batch_size": 3, "tasks": named}


def chosen(folder, prior):
    """The ranking's one row, as a process of its own finds it, which reads the code anew."""
    here.cache_clear()
    out = folder / "selected/science/sft.json"
    validation = ["--validation", str(folder / "validation.jsonl"), "--prior-config", json.dumps(prior)]
    select.main(["--candidates", str(folder / "validation.json"), "--out", str(out), *validation])
    return read_json(out)["ranking"][0]


def test_a_changed_scorer_scores_the_kept_replies_again_and_trains_nothing(world, tmp_path, monkeypatch, prior):
    record = candidate(tmp_path, make_spec(world, "sft"), "--prior-config", json.dumps(prior))
    let_go(tmp_path)
    before = chosen(tmp_path, prior)
    assert (before["validation"], before["prior"]) == (record["validation"]["value"], record["prior"])
    assert before["validation"] == before["prior"]["ifeval"] == 0
    for name in ("train", "measure"):
        monkeypatch.setattr(sweep, name, None)

    # The task's scorer: every response is right now.
    monkeypatch.setattr("sdft.scoring.science.score", lambda *_: True)
    real = rerun.task_code
    monkeypatch.setattr(rerun, "task_code", lambda task: {**real(task), "scores": "another"})
    assert chosen(tmp_path, prior) == before | {"validation": 1.0, "by_run": [1.0]}

    # A benchmark's scorer: its texts are scored again.
    (tmp_path / "tasks/own_text.yaml").write_text(TEXT.replace(".score", ".otherwise"))
    text = chosen(tmp_path, prior)
    assert text["prior"] == {**before["prior"], "ifeval": 1.0}
    assert text["prior_average"] == sum(text["prior"].values()) / 2
    assert "stale" not in text

    # A benchmark that asks something else: its old value stays, and is called what it is.
    (tmp_path / "tasks/own_choice.yaml").write_text(CHOICE.replace("{{prompt}}", "{{prompt}} w1"))
    stale = chosen(tmp_path, prior)
    assert stale == text | {"stale": ["mmlu"]}

    # The same scorers as before: what they said.
    (tmp_path / "tasks/own_text.yaml").write_text(TEXT)
    (tmp_path / "tasks/own_choice.yaml").write_text(CHOICE)
    monkeypatch.setattr(rerun, "task_code", real)
    assert chosen(tmp_path, prior) == before


def test_log_likelihoods_are_kept_as_well(world, tmp_path, prior):
    candidate(tmp_path, make_spec(world, "sft"), "--prior-config", json.dumps(prior))
    before = chosen(tmp_path, prior)
    other = CHOICE.replace("doc_to_target: gold", 'doc_to_target: "{{1 - gold}}"')
    (tmp_path / "tasks/own_choice.yaml").write_text(other)
    after = chosen(tmp_path, prior)
    assert after["prior"]["mmlu"] == pytest.approx(1 - before["prior"]["mmlu"]) != before["prior"]["mmlu"]
    assert "stale" not in after


def test_responses_to_other_questions_are_not_scored(world, tmp_path, monkeypatch, prior):
    candidate(tmp_path, make_spec(world, "sft"), "--prior-config", json.dumps(prior))
    monkeypatch.setattr(rerun, "task_code", lambda task: {"responses": "", "scores": "another"})
    write_records(tmp_path / "validation.jsonl", make_records(7)[1:])
    with pytest.raises(SdftError, match="answers other questions"):
        chosen(tmp_path, prior)


def test_each_candidate_is_scored_again_on_the_questions_that_it_answered(world, tmp_path, monkeypatch, prior):
    folders = [tmp_path / "one", tmp_path / "other"]
    for seed, folder in enumerate(folders):
        folder.mkdir()
        spec = make_spec(world, "sft", id=f"run-{seed}", seed=seed)
        candidate(folder, spec, "--prior-config", json.dumps(prior), records=6 + seed)
    monkeypatch.setattr("sdft.scoring.science.score", lambda *_: True)
    real = rerun.task_code
    monkeypatch.setattr(rerun, "task_code", lambda task: {**real(task), "scores": "another"})
    out = tmp_path / "selected/science/sft.json"
    given = ["--candidates", *(str(folder / "validation.json") for folder in folders), "--out", str(out)]
    given += ["--prior-config", json.dumps(prior), "--validation"]
    select.main([*given, *(str(folder / "validation.jsonl") for folder in folders)])
    assert read_json(out)["ranking"][0]["by_run"] == [1.0, 1.0]
    with pytest.raises(SdftError, match="other questions"):
        select.main([*given, str(folders[0] / "validation.jsonl")])
    with pytest.raises(SdftError, match="3 files for 2 candidates"):
        select.main([*given, *3 * [str(folders[0] / "validation.jsonl")]])


@pytest.mark.slow
def test_a_final_run_that_the_winner_is_already_is_not_trained_again(world, tmp_path, monkeypatch):
    folders = [tmp_path / "sweep" / name for name in ("slow", "fast")]
    specs = [make_spec(world, "sft", epochs=1, learning_rate=rate, snapshots=2) for rate in (1e-9, 0.05)]
    for folder, spec in zip(folders, specs, strict=True):
        folder.mkdir(parents=True)
        candidate(folder, spec.model_copy(update={"id": folder.name}))
    best = {"slow": 1.0, "fast": 0.5}
    for folder in folders:
        record = read_json(folder / "validation.json")
        record["validation"]["value"] = best[folder.name]
        write_json(folder / "validation.json", record)
    selected = tmp_path / "selected/science/sft.json"
    select.main(["--out", str(selected), "--candidates", *(str(folder / "validation.json") for folder in folders)])
    # The loser's weights are gone, the winner's wait.
    assert [(folder / "weights").is_dir() for folder in folders] == [True, False]

    final = specs[0].model_copy(update={"id": "final", "hyperparameters": None, "selected": str(selected)})
    anew = run.train(
        final.model_copy(update={"hyperparameters": specs[0].hyperparameters}), tmp_path / "anew", quiet=True
    )
    other = run.train(final.model_copy(update={"seed": 1}), tmp_path / "other", quiet=True)
    assert "candidate" not in other
    monkeypatch.setattr(run, "Checkpoints", None)
    taken = run.train(final, tmp_path / "taken", quiet=True)
    assert taken["candidate"] == str(folders[0])
    assert taken["weights"]["sha256"] == anew["weights"]["sha256"] != other["weights"]["sha256"]
    assert [entry["sha256"] for entry in taken["snapshots"]] == [entry["sha256"] for entry in anew["snapshots"]]
    assert (tmp_path / "taken/snapshots").is_dir()
    # Its page shows what the same weights say where the run was trained.
    assert read_json(tmp_path / "taken/rollouts.json") == read_json(tmp_path / "anew/rollouts.json")
    # The record is the final run's own, and stands by itself.
    shutil.rmtree(folders[0])
    assert taken["run"]["id"] == "final"
    assert run.train(final, tmp_path / "taken", quiet=True) == taken
