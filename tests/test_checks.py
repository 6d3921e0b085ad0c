"""A study that asks the miniature world or a folder for what it does not have is refused before anything runs."""

from __future__ import annotations

import copy
import random

import pytest

from sdft.common.errors import SdftError
from sdft.config import load_config, parse_config
from sdft.study.checks import TRAINED_SIZES, check_batches, check_files, check_sizes, styles
from sdft.study.plan import Plan
from sdft.study.values import read_values


def message(values, path, value):
    """What is said of mini with one key changed."""
    values = copy.deepcopy(values)
    node = values["scales"]["mini"]
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    with pytest.raises(SdftError) as caught:
        check_files(parse_config(values))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def values(root, monkeypatch):
    monkeypatch.chdir(root)
    return read_values(root / "config.yaml")


def test_the_shipped_files_are_those_that_the_shipped_configuration_asks_for(root, monkeypatch):
    monkeypatch.chdir(root)
    check_files(load_config(root / "config.yaml"))


STUDIES = ["studies", "teacher"]
MMLU = ["prior", "tasks", "mmlu"]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["demonstration"], "shard", ["scales.mini.demonstration", "'shard'", "'shared'"]),
        (["demonstration"], "article", ["scales.mini.demonstration", "science", "'article'"]),
        (["arms", "sft", "demonstration"], "foregin", ["scales.mini.arms.sft.demonstration", "'foregin'", "'foreign'"]),
        ([*STUDIES, "contexts"], ["shard"], ["scales.mini.studies.teacher.contexts", "'shard'", "'shared'"]),
        (["data", "sizes", "science", "symbols"], 1000, ["sizes.science.symbols", "1000", "at most 96"]),
        (["data", "sizes", "knowledge", "symbols"], 193, ["sizes.knowledge.symbols", "193", "at most 192"]),
        (["data", "world_seed"], 1, ["scales.mini.models", "m-s1", "seed 0", "source: trained"]),
        (["models", "path"], "released/nowhere", ["scales.mini.models.path", "released/nowhere", "released/mini"]),
        (["models", "path"], None, ["scales.mini.models", "need path"]),
        (["models", "names"], ["m-s9"], ["scales.mini.models", "'m-s9'", "did you mean 'm-s"]),
        (["studies", "scaling", "arms", "sft.xs", "models"], ["xs-s7"], ["scales.mini.models", "'xs-s7'", "'xs-s"]),
        (["prior", "include_path"], "nowhere", ["scales.mini.prior.include_path", "nowhere"]),
        ([*MMLU, "task"], "mini_mmllu", ["scales.mini.prior.tasks.mmlu", "'mini_mmllu'", "'mini_mmlu'"]),
        ([*MMLU, "metric"], "acck", ["scales.mini.prior.tasks.mmlu", "'acck'", "'acc'"]),
        ([*MMLU, "siblings"], ["mini_mmllu"], ["scales.mini.prior.tasks.mmlu", "'mini_mmllu'", "'mini_mmlu'"]),
    ],
)
def test_what_is_not_there_is_named_with_the_remedy(values, path, value, words):
    said = message(values, path, value)
    for word in words:
        assert word in said


@pytest.mark.parametrize("name", ["m-0", "medium-s0", "m-s", "qwen"])
def test_a_model_to_be_trained_says_its_size_and_seed(values, name):
    models = {"source": "trained", "names": [name]}
    said = message(values, ["models"], models)
    assert "scales.mini.models" in said
    assert repr(name) in said
    assert "SIZE-sSEED" in said


def test_only_models_of_the_miniature_world_can_be_trained(values):
    values["scales"]["paper"] |= {"evidence": "own", "models": {"source": "trained", "names": ["m-s0"]}}
    values["scales"]["paper"]["studies"] = {}
    with pytest.raises(SdftError, match=r"scales.paper.models.source: only a base model of the miniature world"):
        parse_config(values)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"demonstration": "expret"}, ["scales.paper.demonstration", "'expret'", "'expert'"]),
        ({"studies": {"teacher": {"contexts": ["ex-pert"]}}}, ["studies.teacher.contexts", "'ex-pert'", "'expert'"]),
        ({"prior": {"tasks": {"mmlu": {"task": "mmmlu_x"}}}}, ["scales.paper.prior.tasks.mmlu", "'mmmlu_x'"]),
        ({"prior": {"tasks": {"ifeval": {"metric": "inst_level"}}}}, ["prior.tasks.ifeval", "'inst_level_loose_acc'"]),
        ({"prior": {"tasks": {"humaneval": {"metric": "pass@1,creat_test"}}}}, ["humaneval", "'create_test'"]),
    ],
)
def test_the_papers_scale_is_checked_before_its_first_candidate(root, monkeypatch, changes, words):
    monkeypatch.chdir(root)
    with pytest.raises(SdftError) as caught:
        check_files(parse_config({"scales": {"paper": changes}}))
    for word in words:
        assert word in str(caught.value)


def test_a_warm_up_that_outlasts_every_candidate_is_refused(values):
    values["scales"]["mini"]["training"] |= {"warmup_steps": 10_000, "warmup_share": None}
    with pytest.raises(SdftError, match=r"scales.mini.arms.sft: on science .* steps, .*warm-up.*set warmup_steps"):
        few_rows(values, "mini")


def few_rows(values, scale, **changes):
    """The checks of a scale's batches, with some of its data's keys changed."""
    values["scales"][scale]["data"] |= changes
    check_batches(Plan(parse_config(values), scale))


@pytest.mark.parametrize("scale", ["mini", "smoke", "paper", "rehearsal"])
@pytest.mark.parametrize("sweep", ["full", "published"])
def test_every_shipped_arm_has_a_batch_to_train_on(values, scale, sweep):
    values["sweep"] = sweep
    if sweep == "full" or "published_recipe" in values["scales"][scale]:
        few_rows(values, scale)


def test_an_arm_whose_rows_fill_no_batch_is_refused_before_anything_runs(values):
    whole = copy.deepcopy(values)
    knowledge = values["scales"]["paper"]["data"]["tasks"]["knowledge"]
    knowledge["corpus_characters"] = 200000
    with pytest.raises(SdftError, match=r"paper.studies.knowledge.arms.cpt: .* 9 rows.* batch of 16.*drop_last: false"):
        few_rows(values, "paper")
    study = values["scales"]["paper"]["studies"]["knowledge"]
    study["arms"]["cpt"]["settings"] = {"drop_last": False, "warmup_steps": 1}
    few_rows(values, "paper")
    study["arms"]["cpt"]["settings"] = {}
    study["enabled"] = False
    few_rows(values, "paper")
    whole["sweep"] = "published"
    with pytest.raises(SdftError, match=r"paper.arms.sft: on science .* 16 rows.* batch of 32"):
        few_rows(whole, "paper", limit=16)


def test_a_file_whose_length_nobody_has_stated_is_not_judged(values):
    task = values["scales"]["paper"]["data"]["tasks"]["science"]
    task["train"].pop("rows")
    few_rows(values, "paper")


def test_the_sizes_that_can_be_named_are_those_that_can_be_made():
    from sdft.miniature.pretrain import SIZES

    assert tuple(SIZES) == TRAINED_SIZES


@pytest.mark.parametrize("task", ["science", "tooluse", "medical", "knowledge"])
def test_the_styles_are_those_that_the_miniature_data_writes(task):
    from sdft.miniature.data import Size, task_records
    from sdft.miniature.world import make_world

    for records in task_records(make_world(0), task, Size(24, 24, 8, 8)).values():
        record = random.Random(task).choice(records)
        # A text to train on as it is has no demonstration.
        assert not record.demonstrations or sorted(record.demonstrations) == sorted(styles(task))


@pytest.mark.parametrize(
    ("scale", "changes", "words"),
    [
        ("mini", {"prior": {"num_fewshot": 1}}, "mini.prior.num_fewshot: 1 would change nothing"),
        ("paper", {"prior": {"num_fewshot": 6}}, "paper.prior.num_fewshot: 6 examples .* of mmlu, whose data have 5"),
        ("rehearsal", {"prior": {"num_fewshot": 6}}, "rehearsal.prior.num_fewshot: 6 examples .* whose data have 5"),
        ("smoke", {"training": {"max_new_tokens": 256}}, "max_new_tokens .* is 256, and the context of .* xs-s0 holds"),
        ("rehearsal", {"training": {"max_new_tokens": 32768}}, "the context of .* random-qwen2 holds 32768 tokens"),
        ("smoke", {"training": {"max_prompt_tokens": 18}}, "arms.sft: 32 of 32 prompts of science .* longest has 20"),
        ("smoke", {"training": {"max_new_tokens": 200}}, "arms.sdft: 32 of 32 prompts of science .* the 56 tokens"),
        ("smoke", {"training": {"max_prompt_tokens": 19, "overlong": "drop"}}, "arms.sft: 18 .* one batch of 16"),
        ("smoke", {"evaluation": {"max_prompt_tokens": 9, "overlong": "error"}}, "smoke.evaluation.max_prompt_tokens"),
        ("rehearsal", {"data": {"general": {"prompts": 25}}}, "general.prompts: the file of general .* has 24 rows"),
        ("rehearsal", {"data": {"tasks": {"medical": {"test_sample": 25}}}}, "test_sample: the test file has 24 rows"),
    ],
)
def test_what_could_not_be_run_to_its_end_is_refused_before_anything_runs(root, monkeypatch, scale, changes, words):
    with pytest.raises(SdftError, match=words) as caught:
        planned(root, monkeypatch, scale, changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("scale", "changes"),
    [
        ("paper", {"prior": {"num_fewshot": 5}}),
        ("rehearsal", {"prior": {"num_fewshot": 5}, "training": {"max_new_tokens": 32767}}),
        ("smoke", {"training": {"max_new_tokens": 200, "overlong": "truncate_left"}}),
        (
            "smoke",
            {"training": {"max_prompt_tokens": 70}, "evaluation": {"max_prompt_tokens": 20, "overlong": "error"}},
        ),
        ("rehearsal", {"data": {"general": {"prompts": 24}, "tasks": {"medical": {"test_sample": 24}}}}),
        # A longer context than the world's own models have; and batches of what is left.
        (
            "smoke",
            {
                "models": {"names": ["r"], "sources": {"r": {"architecture": "qwen2"}}},
                "training": {"max_new_tokens": 200},
            },
        ),
        ("smoke", {"arms": {"sft": {"settings": {"max_prompt_tokens": 19, "overlong": "drop", "drop_last": False}}}}),
        ("paper", {"prior": {"num_fewshot": 3, "tasks": {"mmlu": {"task": "flan_held_in", "metric": "acc"}}}}),
    ],
)
def test_what_just_fits_is_planned(root, monkeypatch, scale, changes):
    planned(root, monkeypatch, scale, changes)


def planned(root, monkeypatch, scale, changes):
    """What is checked of a scale with some changes before anything runs."""
    monkeypatch.chdir(root)
    monkeypatch.delenv("SDFT_REAL_DATA", raising=False)
    config = parse_config({"scale": scale, "scales": {scale: changes}})
    check_files(config)
    check_sizes(Plan(config))


@pytest.mark.parametrize("arm", [{"method": "sft", "like": "cpt"}, {"method": "sft", "grid": "skill", "parent": "cpt"}])
def test_an_arm_that_needs_a_run_on_raw_texts_is_refused_on_a_task_without(arm):
    with pytest.raises(SdftError, match=r"knowledge.arms.cpt: cpt trains on raw texts, and the task science has none"):
        parse_config({"scales": {"mini": {"arms": {"x": arm}}}})


def test_no_prompt_of_a_miniature_world_is_longer_than_is_said():
    from sdft.miniature.data import SIZES, general_records, task_records
    from sdft.miniature.pretrain import new_model
    from sdft.miniature.world import make_world
    from sdft.study.prompt_lengths import CONTEXT, LONGEST

    assert new_model("xs", 0).config.max_position_embeddings == CONTEXT
    for seed in (0, 7):
        world = make_world(seed)
        rows = general_records(world, 64, 32)
        for task, size in SIZES.items():
            rows += [row for name, part in task_records(world, task, size).items() if name != "corpus" for row in part]
        lengths = [row.meta.get("teacher_prompt_tokens", {}).values() for row in rows]
        assert max(max(found, default=0) for found in lengths) < LONGEST
        assert max(row.meta["prompt_tokens"] for row in rows) < LONGEST


def test_rows_of_a_file_that_is_here_are_counted_before_its_head_is_taken(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").write_text('{"prompt": "x", "answer": "y"}\n' * 40)
    files = {split: {"path": str(tmp_path / f"{split}.jsonl")} for split in ("train", "test")}
    whole = read_values(root / "config.yaml")
    del whole["scales"]["smoke"]["data"]["sizes"]["science"]
    whole["scale"], whole["scales"]["smoke"]["data"]["tasks"] = "smoke", {"science": {**files, "test_rows": 41}}
    with pytest.raises(
        SdftError, match=r"smoke.data.tasks.science.test_rows: the test file has 40 rows, fewer than 41"
    ):
        check_sizes(Plan(parse_config(whole)))
