"""Names of runs hold what differs from the defaults: a new key renames nothing, and a default never changes."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import create_model

from sdft.config import parse_config
from sdft.data.schema import Article, Source, TaskArticles, TaskFiles, Writer
from sdft.learning.spec import defining
from sdft.methods.settings import TrainingSettings
from sdft.study.plan import Plan, RunSpec
from sdft.study.schema import Config
from sdft.study.values import read_values


@pytest.fixture
def values(root):
    return read_values(root / "config.yaml")


def runs(values, scale="mini"):
    return Plan(parse_config(values), scale).runs()


def names(values, scale="mini"):
    return [run.id for run in runs(values, scale)]


def wider(default, value):
    """TrainingSettings with one key more, whose default is `default`, set to `value`."""
    made = create_model("Wider", __base__=TrainingSettings, new_key=(Literal["old", "new"], default))
    real = Config.settings_of
    return lambda config, *which: made.model_validate({**real(config, *which).model_dump(), "new_key": value})


def test_a_new_key_at_its_default_renames_nothing_and_trains_nothing_anew(values, monkeypatch):
    before = runs(values)
    monkeypatch.setattr(Config, "settings_of", wider("old", "old"))
    after = runs(values)
    assert [run.id for run in after] == [run.id for run in before]
    assert [defining(run) for run in after] == [defining(run) for run in before]
    assert all(run.settings.new_key == "old" for run in after)


def test_a_new_key_at_another_value_renames_every_run(values, monkeypatch):
    before = names(values)
    monkeypatch.setattr(Config, "settings_of", wider("old", "new"))
    assert not set(before) & set(names(values))


def test_a_key_set_to_its_default_has_the_name_of_a_key_left_out(values):
    shown = {name: field.default for name, field in TrainingSettings.model_fields.items()}
    at_default = [name for name, value in values["training"].items() if value == shown[name]]
    assert len(at_default) > 5
    before = names(values)
    for name in at_default:
        del values["training"][name]
    assert names(values) == before
    values["training"]["max_grad_norm"] = 0.5
    assert not set(before) & set(names(values))


def test_the_file_of_a_run_holds_what_differs_from_the_defaults_and_reads_back(values):
    for run in runs(values)[:20]:
        assert RunSpec.model_validate_json(run.text()) == run
        assert '"max_grad_norm"' not in run.text()


# Runs are named, and finished weights recognised, by what differs from these. A new key is added here; a value that is
# here never changes, or two different trainings would have one name.
DEFAULTS = {
    TrainingSettings: {
        "divergence": "forward_kl",
        "jsd_weight": 0.5,
        "loss_reduction": "sequence_mean",
        "estimator": "analytic",
        "skip_tokens": 3,
        "teacher": "ema",
        "teacher_template": "official",
        "temperature": 1.0,
        "max_new_tokens": 2048,
        "max_prompt_tokens": None,
        "overlong": "truncate_left",
        "rollouts_per_prompt": 1,
        "rollout_engine": "transformers",
        "importance_clip": 2.0,
        "betas": (0.9, 0.999),
        "epsilon": 1e-8,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "schedule": "cosine",
        "warmup_steps": 10,
        "warmup_share": None,
        "drop_last": True,
        "weights_dtype": "float32",
        "optimizer_dtype": "float32",
        "ema_dtype": "float32",
        "rounding": "nearest",
        "lora_rank": None,
        "compute_dtype": "bfloat16",
        "micro_batch_size": None,
        "micro_batch_tokens": None,
        "gradient_checkpointing": False,
        "checkpoint_minutes": 20.0,
        "checkpoint_steps": None,
        "snapshots": 0,
        "probe_rows": 0,
        "tracker": "none",
    },
    TaskFiles: {
        "validation": None,
        "others": {},
        "style": None,
        "test_rows": None,
        "test_versions": [],
        "test_sample": None,
        "duplicates": "report",
        "conflicts": "error",
        "overlap": "error",
    },
    Source: dict.fromkeys(("path", "github", "hub", "revision", "file", "sha256", "rows")),
    TaskArticles: {
        "writer": None,
        "train": 100,
        "test": 20,
        "ood": 20,
        "similarity": 90.0,
        "window_characters": 12000,
        "corpus_characters": 8000,
        "rounds": 4,
    },
    Writer: {
        "base_url": None,
        "base_url_variable": "OPENAI_BASE_URL",
        "api_key_variable": "OPENAI_API_KEY",
        "attempts": 6,
        "parallel": 8,
        "max_tokens": 16000,
        "reasoning_effort": None,
        "cache": "results/writer",
    },
    Article: dict.fromkeys(("path", "revision", "sha256")),
}


@pytest.mark.parametrize("model", DEFAULTS, ids=lambda model: model.__name__)
def test_no_default_has_changed(model):
    found = {
        name: field.get_default(call_default_factory=True)
        for name, field in model.model_fields.items()
        if not field.is_required()
    }
    assert {name: found.get(name, "is gone") for name in DEFAULTS[model]} == DEFAULTS[model]
    assert not set(found) - set(DEFAULTS[model]), "add the new key to DEFAULTS, with a default that changes nothing"
