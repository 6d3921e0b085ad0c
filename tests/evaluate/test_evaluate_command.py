"""`python -m sdft.evaluate`: its files, its continuation, and its refusals."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from sdft.common.errors import SdftError
from sdft.evaluate import responses as tasks
from sdft.evaluate.__main__ import main
from sdft.records.record import Record, read_records, write_records
from sdft.study import rerun


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "data"
    for task, answers in {"science": "ABC", "medical": ("w1 w2", "w3", "w4")}.items():
        prompts = [[{"role": "user", "content": " ".join([f"w{n}"] * (1 + n))}] for n in range(3)]
        rows = [Record(f"{task}-{n}", prompts[n], answer=answer) for n, answer in enumerate(answers)]
        write_records(root / task / "test.jsonl", rows)
    return root


@pytest.fixture
def evaluate(model_folder, data, tmp_path):
    def run(*arguments, task=("science",), model=model_folder, out="out"):
        options = ["--model", model, "--task", *task, "--data-root", data, "--out", tmp_path / out]
        main([str(option) for option in (*options, "--max-new-tokens", 4, "--device", "cpu", *arguments)])
        return tmp_path / out

    return run


def lines(folder):
    with gzip.open(folder / "responses.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_files_of_several_tasks(evaluate):
    out = evaluate(task=("science", "medical"))
    names = {path.name for path in out.iterdir() if path.is_file()}
    assert names == {"science.json", "medical.json", "responses.jsonl.gz"}
    items = lines(out)
    for name in ("science", "medical"):
        summary = json.loads((out / f"{name}.json").read_text())
        mine = [item["correct"] for item in items if item["benchmark"] == name]
        assert summary["benchmark"] == name
        assert summary["n"] == len(mine) == 3
        assert summary["value"] == summary["metrics"][summary["metric"]] == sum(mine) / 3
        files = set(summary["manifest"]["inputs"]["model"]["sha256"])
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= files
        assert summary["manifest"]["step"] == "evaluate"
    assert [item["benchmark"] for item in items] == ["medical"] * 3 + ["science"] * 3


def test_repeating_gives_the_same_bytes(evaluate):
    first, second = evaluate(out="first"), evaluate(out="second")
    name = "responses.jsonl.gz"
    assert (first / name).read_bytes() == (second / name).read_bytes()


def test_limit_and_data_by_path(evaluate, data):
    out = evaluate("--data", data / "science" / "test.jsonl", "--limit", 2, "--split", "ours")
    assert [item["id"] for item in lines(out)] == ["science-0", "science-1"]


def test_the_out_of_distribution_split_has_results_of_its_own(evaluate, data):
    shutil.copytree(data / "medical", data / "knowledge")
    shutil.copy(data / "medical" / "test.jsonl", data / "knowledge" / "ood.jsonl")
    out = evaluate(task=("knowledge", "knowledge_ood"))
    summary = json.loads((out / "knowledge_ood.json").read_text())
    assert summary["benchmark"] == "knowledge_ood"
    assert summary["manifest"]["inputs"]["split"] == "ood"
    assert summary["metrics"]["strict"] == summary["metrics"]["lenient"] == summary["value"]
    assert [item["benchmark"] for item in lines(out)] == ["knowledge"] * 3 + ["knowledge_ood"] * 3
    alone = evaluate("--split", "ood", task=("knowledge",), out="alone")
    assert lines(alone) == lines(out)[3:]
    assert not (alone / "knowledge.json").exists()


def test_a_context_is_put_in_the_prompt_and_recorded(evaluate, data):
    plain = evaluate(out="plain")
    rows = [replace(r, demonstrations={"shared": "w1"}) for r in read_records(data / "science" / "test.jsonl")]
    write_records(data / "science" / "test.jsonl", rows)
    out = evaluate("--context", "shared")
    longer = [item["prompt_tokens"] for item in lines(out)]
    assert all(more > less["prompt_tokens"] for more, less in zip(longer, lines(plain), strict=True))
    assert json.loads((out / "science.json").read_text())["manifest"]["inputs"]["context"] == "shared"
    # Without a context the settings are digested as they were before there was one.
    assert "context" not in json.loads((plain / "science.json").read_text())["manifest"]["inputs"]


def test_an_interrupted_evaluation_continues(evaluate, monkeypatch):
    whole = evaluate(task=("science", "medical"), out="whole")
    asked, real = [], tasks.respond

    def counted(model, tokenizer, task, *rest):
        asked.append(task)
        if asked == ["science", "medical"]:
            raise KeyboardInterrupt
        return real(model, tokenizer, task, *rest)

    monkeypatch.setattr(tasks, "respond", counted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(task=("science", "medical"), out="cut")
    out = evaluate(task=("science", "medical"), out="cut")
    assert asked == ["science", "medical", "medical"]
    assert lines(out) == lines(whole)


def test_finished_scores_that_were_deleted_are_put_back(evaluate, monkeypatch):
    out = evaluate(task=("science", "medical"), out="done")
    files = {path: path.read_bytes() for path in out.glob("*.json*")}
    for path in files:
        path.unlink()
    monkeypatch.setattr(tasks, "respond", None)
    evaluate(task=("science", "medical"), out="done")
    assert {path: path.read_bytes() for path in out.glob("*.json*")} == files


def test_a_changed_scorer_scores_the_kept_responses_without_the_model(evaluate, monkeypatch):
    out = evaluate(task=("science", "medical"))
    before = lines(out)
    assert not any(item["correct"] for item in before)
    for name in ("sdft.models.files.load_model", "sdft.evaluate.responses.respond"):
        monkeypatch.setattr(name, None)
    monkeypatch.setattr("sdft.scoring.science.score", lambda *_: True)
    real = rerun.task_code
    changed = {"science": {"scores": "another"}}
    monkeypatch.setattr(rerun, "task_code", lambda task: {**real(task), **changed.get(task, {})})
    after = lines(evaluate(task=("science", "medical")))
    assert after == [{**item, "correct": int(item["benchmark"] == "science")} for item in before]
    assert json.loads((out / "science.json").read_text())["manifest"]["code"]["scores"] == "another"


def test_other_settings_do_not_continue_what_was_begun(evaluate, monkeypatch):
    asked, real = [], tasks.respond

    def counted(model, tokenizer, task, *rest):
        asked.append(task)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return real(model, tokenizer, task, *rest)

    monkeypatch.setattr(tasks, "respond", counted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(task=("science", "medical"))
    evaluate("--limit", 2, task=("science", "medical"))
    assert asked == ["science", "medical", "science", "medical"]


@pytest.mark.parametrize(
    ("arguments", "task", "reason"),
    [
        (["--data", "rows.jsonl"], ("science", "medical"), "name exactly one task"),
        ([], ("sience",), "did you mean 'science'"),
        ([], (), "nothing to evaluate"),
        (["--split", "validation"], ("science",), r"validation.jsonl does not exist"),
        (["--benchmarks", "mmllu"], ("science",), "did you mean 'mmlu'"),
        (["--benchmarks", "all", "--prior-config", "{"], ("science",), "prior-config is not valid JSON"),
        (["--benchmarks", "all", "--prior-config", "absent.json"], ("science",), "absent.json does not exist"),
        (["--context", "shared"], ("science",), "'science-0' has no demonstration of style 'shared'"),
        (["--context", "shared", "--benchmarks", "all"], ("science",), "the prior benchmarks take no context"),
        ([], ("sience_ood",), "did you mean 'science'"),
        (["--max-prompt-tokens", "3", "--overlong", "error"], ("science",), "3 fit"),
        (["--tokenizer", "absent"], ("science",), "absent holds no tokenizer"),
        (["--model", "nosuch/model", "--data", "absent.jsonl"], ("science",), "the model nosuch/model does not exist"),
        (["--model", ".", "--data", "absent.jsonl"], ("science",), "is not a model folder"),
    ],
)
def test_bad_arguments_are_refused(evaluate, arguments, task, reason):
    with pytest.raises(SdftError, match=reason):
        evaluate(*arguments, task=task)


def test_a_tokenizer_without_chat_template_is_refused(evaluate, model_folder, tmp_path):
    plain = shutil.copytree(model_folder, tmp_path / "plain")
    (plain / "chat_template.jinja").unlink()
    with pytest.raises(SdftError, match="has no chat template"):
        evaluate("--tokenizer", plain)


@pytest.mark.slow
def test_a_damaged_row_ends_the_command_in_one_paragraph_and_leaves_the_results(model_folder, data):
    out = data.parent / "out"
    command = [sys.executable, "-m", "sdft.evaluate", "--model", model_folder, "--task", "science", "--device", "cpu"]
    command += ["--data-root", data, "--out", out, "--benchmarks", "none", "--max-new-tokens", "4"]
    subprocess.run(command, capture_output=True, check=True)
    before = {path.name: path.read_bytes() for path in out.glob("*.json*")}
    rows = data / "science" / "test.jsonl"
    rows.write_bytes(rows.read_bytes()[:-30])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "test.jsonl:3: the line is not a JSON object" in " ".join(done.stderr.split())
    assert "\n\n" not in done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in out.glob("*.json*")} == before


# Lengths of the official prompts under the real tokenizer (median, 90th percentile, longest).
LENGTHS = {"tooluse/eval_97": (97, 674, 1053, 1187), "tooluse/eval_68.json": (68, None, None, None)}
LENGTHS["science/eval_507"] = (507, 242, None, 772)


@pytest.mark.slow
@pytest.mark.parametrize("file", LENGTHS)
def test_the_official_sets_run_end_to_end(real_data, tmp_path, file):
    from sdft.models.random_weights import make

    ready = make("qwen2", real_data / "tokenizers" / "qwen2.5-instruct", tmp_path / "model", vocabulary=151936)
    task = file.split("/")[0]
    options = ["--model", ready, "--task", task, "--data", real_data / file, "--out", tmp_path, "--max-new-tokens", 4]
    main([str(option) for option in (*options, "--device", "cpu")])
    summary = json.loads((tmp_path / f"{task}.json").read_text())
    count, median, p90, longest = LENGTHS[file]
    found = summary["metrics"]["prompt_tokens"]
    assert summary["n"] == count == len(lines(tmp_path))
    assert median in (None, found["median"])
    assert p90 in (None, found["p90"])
    assert longest in (None, found["max"])
    assert found["cut"] == 0
