"""Prior benchmarks through lm_eval: local data, the named metric, an outcome for every item."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sdft.common.errors import SdftError
from sdft.evaluate.prior import check_config, evaluate_prior, read_benchmark, settle_scorer, shipped_protocol
from sdft.tasks.benchmarks import BENCHMARKS

CHOICE = """task: own_choice
dataset_path: json
test_split: test
output_type: multiple_choice
doc_to_text: "{{prompt}}"
doc_to_choice: choices
doc_to_target: gold
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
"""
# As lm_eval's IFEval: each item has several outcomes, and the headline is the mean over all of them.
PARTS = """task: own_parts
dataset_path: json
test_split: test
output_type: generate_until
doc_to_text: "{{prompt}}"
doc_to_target: ""
generation_kwargs: {until: ["<end>"], max_gen_toks: 4, do_sample: false}
process_results: !function utils.outcomes
metric_list:
  - metric: parts_acc
    aggregation: !function utils.mean_of_all
    higher_is_better: true
"""
UTILS = """
def outcomes(doc, results):
    return {"parts_acc": [len(results[0]) % n == 0 for n in range(1, doc["parts"] + 1)]}

def mean_of_all(items):
    flat = [part for item in items for part in item]
    return sum(flat) / len(flat)
"""


@pytest.fixture
def config(tmp_path):
    tasks, data = tmp_path / "tasks", tmp_path / "data"
    tasks.mkdir()
    data.mkdir()
    (tasks / "choice.yaml").write_text(CHOICE)
    (tasks / "parts.yaml").write_text(PARTS)
    (tasks / "utils.py").write_text(UTILS)
    rows = [
        {"id": f"m{n}", "prompt": f"w{n} w{n + 1}", "choices": ["w3", "w4 w5", "w6"], "gold": n % 3} for n in range(12)
    ]
    (data / "mmlu.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [{"id": f"i{n}", "prompt": f"w{n} w{n}", "parts": 1 + n % 3} for n in range(7)]
    (data / "ifeval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "include_path": str(tasks),
        "data_dir": str(data),
        "batch_size": 5,
        "tasks": {
            "mmlu": {"task": "own_choice", "metric": "acc"},
            "ifeval": {"task": "own_parts", "metric": "parts_acc"},
        },
    }


def likelihood(model, tokenizer, prompt, choice):
    context = tokenizer(prompt)["input_ids"]
    ids = torch.tensor([context + tokenizer(choice)["input_ids"]])
    with torch.no_grad():
        logs = model(ids).logits.log_softmax(-1)
    return sum(logs[0, place - 1, ids[0, place]].item() for place in range(len(context), ids.shape[1]))


def test_multiple_choice_agrees_with_likelihoods_of_our_own(model, tokenizer, config):
    result = evaluate_prior(model, tokenizer, config, ["mmlu"])["mmlu"]
    with open(config["data_dir"] + "/mmlu.jsonl") as lines:
        rows = [json.loads(line) for line in lines]
    assert [item["id"] for item in result.items] == [row["id"] for row in rows]
    for row, item in zip(rows, result.items, strict=True):
        scores = [likelihood(model, tokenizer, row["prompt"], choice) for choice in row["choices"]]
        best = scores.index(max(scores))
        assert item["response"] == row["choices"][best]
        assert item["correct"] == int(best == row["gold"])
    assert result.metric == "acc"
    assert result.value == pytest.approx(sum(item["correct"] for item in result.items) / 12)
    assert set(result.metrics) == {"acc", "acc_norm"}


def test_items_of_several_outcomes_weigh_by_their_number(model, tokenizer, config):
    result = evaluate_prior(model, tokenizer, config, ["ifeval"])["ifeval"]
    assert [item["weight"] for item in result.items] == [1, 2, 3, 1, 2, 3, 1]
    total = sum(item["weight"] * item["correct"] for item in result.items)
    assert result.value == pytest.approx(total / 13)


def test_a_group_of_tasks_is_weighed_by_their_sizes(model, tokenizer, config, tmp_path):
    folder = tmp_path / "tasks"
    rows = (tmp_path / "data" / "mmlu.jsonl").read_text().splitlines(keepends=True)
    for name, part in {"law": rows[:3], "art": rows[3:]}.items():
        data = folder / f"{name}.jsonl"
        data.write_text("".join(part))
        kwargs = json.dumps({"data_files": {"test": str(data)}, "cache_dir": str(tmp_path / "cache")})
        text = f"include: choice.yaml\ntask: own_{name}\ndataset_kwargs: {kwargs}\n"
        (folder / f"{name}.yaml").write_text(text)
    group = {"group": "own_group", "task": ["own_law", "own_art"]}
    group["aggregate_metric_list"] = [{"metric": "acc", "weight_by_size": True}]
    (folder / "group.yaml").write_text(json.dumps(group))
    protocol = {**config, "tasks": {"mmlu": {"task": "own_group", "metric": "acc"}}}
    together = evaluate_prior(model, tokenizer, {**protocol, "data_dir": None})["mmlu"]
    assert together.value == pytest.approx(sum(item["correct"] for item in together.items) / 12)
    assert {item["id"] for item in together.items} == {f"m{n}" for n in range(12)}
    assert {"acc", "own_law/acc", "own_art/acc"} <= set(together.metrics)
    with pytest.raises(SdftError, match="is a group"):
        evaluate_prior(model, tokenizer, protocol)


def test_a_sibling_is_stored_beside_the_headline_and_changes_nothing_in_it(model, tokenizer, config):
    entry = {"task": "own_choice", "metric": "acc"}
    alone = evaluate_prior(model, tokenizer, {**config, "tasks": {"mmlu": entry}})["mmlu"]
    (Path(config["include_path"]) / "other.yaml").write_text("include: choice.yaml\ntask: own_other\n")
    both = {**config, "tasks": {"mmlu": entry | {"siblings": ["own_other"]}}}
    result = evaluate_prior(model, tokenizer, both)["mmlu"]
    assert (result.value, result.items, result.metric) == (alone.value, alone.items, alone.metric)
    assert result.metrics == alone.metrics | {f"own_other/{key}": value for key, value in alone.metrics.items()}
    with pytest.raises(SdftError, match="did you mean 'own_other'"):
        evaluate_prior(model, tokenizer, {**config, "tasks": {"mmlu": entry | {"siblings": ["own_othre"]}}})


@pytest.mark.parametrize(("limit", "tasks", "each"), [(None, 57, None), (200, 1, 200), (200, 57, 4), (1, 57, 1)])
def test_the_tasks_of_a_group_share_the_limit(limit, tasks, each):
    from sdft.evaluate.prior import _share

    assert _share(limit, tasks) == each


def test_limit_and_the_state_of_the_world(model, tokenizer, config):
    before = torch.random.get_rng_state()
    model.train()
    padding = tokenizer.padding_side
    results = evaluate_prior(model, tokenizer, {**config, "limit": 3})
    assert {name: result.n for name, result in results.items()} == {"mmlu": 3, "ifeval": 3}
    assert model.training
    assert tokenizer.padding_side == padding
    assert torch.equal(before, torch.random.get_rng_state())


def test_what_is_not_there_is_named(model, tokenizer, config, tmp_path):
    def refused(match, **change):
        with pytest.raises(SdftError, match=match):
            evaluate_prior(model, tokenizer, {**config, **change}, ["mmlu"])

    refused(r"mmlu.jsonl does not exist; make the benchmark data", data_dir=str(tmp_path))
    refused("folder of benchmark definitions .* does not exist", include_path=str(tmp_path / "absent"))
    refused("did you mean 'own_choice'", tasks={"mmlu": {"task": "own_choise", "metric": "acc"}})
    refused("no metric 'accuracy'", tasks={"mmlu": {"task": "own_choice", "metric": "accuracy"}})
    refused("'mmlu' is not configured", tasks={"ifeval": config["tasks"]["ifeval"]})
    (tmp_path / "data" / "mmlu.jsonl").write_text('{"id": "m0"}\n{"id": \n')
    refused(r"mmlu.jsonl:2: the line is not valid JSON")


def test_the_protocol_is_checked():
    paper = check_config(shipped_protocol("paper"))
    assert paper["tasks"]["ifeval"]["metric"] == "inst_level_loose_acc"
    assert (paper["include_path"], paper["limit"], paper["num_fewshot"]) == (None, None, None)
    assert Path(check_config(shipped_protocol("mini"))["include_path"]).is_dir()
    with pytest.raises(SdftError, match="needs tasks"):
        check_config({})
    assert tuple(BENCHMARKS) == ("hellaswag", "humaneval", "ifeval", "mmlu", "truthfulqa", "winogrande")
    with pytest.raises(SdftError, match="did you mean 'batch_size'"):
        check_config({"batchsize": 1})
    with pytest.raises(SdftError, match="did you mean 'mmlu'"):
        check_config({"tasks": {"mmllu": {"task": "mmlu", "metric": "acc"}}})
    with pytest.raises(SdftError, match="'task'"):
        check_config({"tasks": {"mmlu": {"task": "mmlu"}}})


@pytest.mark.slow
def test_a_language_detector_decides_alike_each_time():
    import langdetect

    settle_scorer("ifeval", [], None)
    assert len({langdetect.detect("Hello world") for _ in range(40)}) == 1


def test_a_scorer_whose_data_are_missing_is_refused_before_the_model_is_asked(monkeypatch):
    import nltk

    class Task:
        OUTPUT_TYPE, eval_docs = "generate_until", [{"instruction_id_list": []}]

        def get_config(self, key):
            return None

        def process_results(self, doc, replies):
            return {"words": len(nltk.word_tokenize(replies[0]))}

    monkeypatch.setattr(nltk.data, "path", [])
    with pytest.raises(SdftError, match=r"scorer of the benchmark ifeval lacks data .*nltk.downloader punkt_tab"):
        settle_scorer("ifeval", [Task()], 1)


def test_rows_of_a_benchmark_that_differ_in_kind_are_refused(tmp_path):
    path = tmp_path / "mmlu.jsonl"
    for rows, words in (
        ([{"gold": 1}, {"gold": "a"}], "fields are of different types"),
        ([{"gold": 1}, {"gild": 1}], "mmlu.jsonl:2: the row has other fields"),
        ([{"gold": 1}, None], "mmlu.jsonl:2: a row must be a JSON object"),
    ):
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        with pytest.raises(SdftError, match=words):
            read_benchmark(str(path))


def test_examples_are_shown_without_the_question_itself_and_alike_in_each_run(config):
    from sdft.evaluate.prior import PriorRunner

    runner = PriorRunner(None, {**config, "num_fewshot": 11})
    runner.metrics("mmlu")
    task = runner._loaded["mmlu"]["tasks"]["own_choice"]
    docs = list(task.eval_docs)
    shown = task.fewshot_context(docs[0], num_fewshot=11)
    assert all(doc["prompt"] in shown for doc in docs[1:])
    assert shown.count(docs[0]["prompt"]) == 1
    again = PriorRunner(None, {**config, "num_fewshot": 11})
    again.metrics("mmlu")
    assert again._loaded["mmlu"]["tasks"]["own_choice"].fewshot_context(docs[0], num_fewshot=11) == shown


def test_more_examples_than_there_are_are_refused_before_the_model_is_asked(model, tokenizer, config):
    wanted = {**config, "num_fewshot": 12}
    with pytest.raises(
        SdftError, match=r"mmlu cannot show 12 examples ahead of a question .*; lower num_fewshot"
    ) as said:
        evaluate_prior(model, tokenizer, wanted, ["mmlu"])
    assert "\n" not in str(said.value)


def test_a_split_that_a_local_file_lacks_is_not_asked_for(model, tokenizer, config):
    path = Path(config["include_path"]) / "choice.yaml"
    path.write_text(CHOICE + "fewshot_split: train\nnum_fewshot: 2\n")
    assert evaluate_prior(model, tokenizer, config, ["mmlu"])["mmlu"].value >= 0
