"""Memory of a training against memory of a card, and what every job at paper scale is promised."""

from __future__ import annotations

import json

import pytest

from sdft.common.errors import SdftError
from sdft.config import load_config
from sdft.methods.settings import TrainingSettings
from sdft.models.devices import Gpu
from sdft.models.size import ModelSize, read_size
from sdft.study import steps
from sdft.study.cards import CARDS, check_cards, needed, verdict
from sdft.study.forecast import assumptions
from sdft.study.plan import Plan

SEVEN = ModelSize(**assumptions()["models"]["Qwen2.5-7B-Instruct"])


@pytest.fixture(scope="module")
def plan(root):
    return Plan(load_config(root / "config.yaml"), "paper")


def test_a_run_is_refused_on_a_card_that_cannot_hold_it_and_told_what_would(plan):
    run = plan.candidates("science", "sdft")[0]
    with pytest.raises(SdftError) as refused:
        check_cards(run, SEVEN, [Gpu("NVIDIA H100 80GB HBM3", 79.6)])
    for word in (run.id, "optimizer", "79.6", "gpus: 2", "SDFT_SLURM_GPU"):
        assert word in str(refused.value)
    check_cards(run, SEVEN, [Gpu("NVIDIA H200", 139.8)])
    # Two halves fit where one whole does not.
    check_cards(run, SEVEN, [Gpu("NVIDIA H100 80GB HBM3", 79.6)] * 2)
    check_cards(run, None, [Gpu("unknown model", 1.0)])


def test_what_is_proposed_for_a_card_fits_it():
    settings = TrainingSettings(weights_dtype="bfloat16", optimizer_dtype="bfloat16")
    for method in ("sft", "sdft"):
        for card in CARDS:
            said = verdict(method, settings, SEVEN, card)
            assert (said == "fits") == (needed(method, settings, SEVEN)["total"] <= 0.95 * card)
            if "gradient_checkpointing: true" in said:
                recomputed = settings.model_copy(update={"gradient_checkpointing": True})
                assert verdict(method, recomputed, SEVEN, card) == "fits"
            if "gpus: " in said:
                gpus = int(said.split("gpus: ")[1].split()[0])
                assert verdict(method, settings, SEVEN, card, gpus) == "fits"
    # With the frozen base model besides.
    assert needed("sft_kl", settings, SEVEN)["total"] > needed("sft", settings, SEVEN)["total"] + 14
    # Without a teacher and its average.
    assert needed("sft", settings, SEVEN)["total"] < 0.7 * needed("sdft", settings, SEVEN)["total"]


def test_the_cache_of_many_long_rollouts_counts_where_it_is_larger_than_what_it_takes_the_place_of():
    settings = TrainingSettings(weights_dtype="bfloat16", optimizer_dtype="bfloat16")
    assert needed("sdft", settings, SEVEN)["KV cache"] == 0
    # 128 sequences of 17,408 tokens, of 28 layers with 512 keys and values in two bytes each.
    cache = 128 * (16384 + 1024) * 28 * 2 * 512 * 2 / 2**30
    long = needed("sdft", settings.model_copy(update={"max_new_tokens": 16384, "rollouts_per_prompt": 4}), SEVEN)
    assert long["KV cache"] == pytest.approx(cache - long["gradients"] - long["activations"])
    assert sum(long.values()) == pytest.approx(2 * long["total"])
    # SFT samples nothing, and of four rows the cache is small.
    assert "KV cache" not in needed("sft", settings, SEVEN)
    assert needed("sdft", settings, SEVEN, rows=4)["KV cache"] == 0


@pytest.mark.parametrize(
    ("heads", "width"),
    [
        ({"num_attention_heads": 8, "num_key_value_heads": 2}, 16),
        ({"num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 32}, 64),
        ({"num_attention_heads": 8}, 64),
        ({}, 0),
    ],
    ids=str,
)
def test_the_width_of_the_keys_comes_from_the_heads_of_a_model(tmp_path, heads, width):
    config = {"num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 96, "vocab_size": 100, **heads}
    (tmp_path / "config.json").write_text(json.dumps(config))
    header = json.dumps({"a": {"dtype": "F32", "shape": [3, 5], "data_offsets": [0, 0]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert read_size(tmp_path) == ModelSize(15, 2, 64, 96, 100, width)


def test_every_job_with_a_gpu_says_so_to_its_step(plan, root):
    for run in plan.runs():
        assert json.loads(steps.measures.candidate_spec(plan, run.id))["gpus"] == 1
    assert json.loads(steps.measures.evaluate_base_spec(plan, "Qwen2.5-7B-Instruct"))["gpus"] == 1
    mini = Plan(plan.config, "mini")
    assert "gpus" not in json.loads(steps.measures.candidate_spec(mini, mini.runs()[0].id))


def test_scoring_a_candidate_that_took_several_gpus_holds_one(plan):
    several = next(run for run in plan.runs() if run.arm == "sdft.14b" and run.study == "sweep")
    one = plan.candidates("science", "sdft")[0]
    (trained,) = steps.runs.trained_before(plan, several.id)
    assert trained == f"{plan.run_folder(several)}/model.json"
    assert steps.runs.training_gpus(plan, several.id) == 4
    assert steps.runs.candidate_gpus(plan, several.id) == 1
    assert steps.requests.candidate_memory(plan, several.id) < steps.requests.training_memory(plan, several.id) / 2
    # What one GPU holds is trained and scored in one job.
    assert steps.runs.trained_before(plan, one.id) == []
    assert steps.runs.candidate_gpus(plan, one.id) == 1
    assert steps.requests.candidate_memory(plan, one.id) == steps.requests.training_memory(plan, one.id)
    assert steps.runs.candidate_gpus(Plan(plan.config, "mini"), Plan(plan.config, "mini").runs()[0].id) == 0
