"""A model of one's own, in a local folder, is one entry of any scale; nothing that was there before changes by it."""

from __future__ import annotations

import json

import pytest

from sdft.common.errors import SdftError
from sdft.config import parse_config
from sdft.models import hub
from sdft.models.files import find_model, load_model
from sdft.models.random_weights import make
from sdft.models.size import read_size
from sdft.study.forecast import disk, model_size
from sdft.study.plan import Plan
from sdft.study.values import read_values


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model in Hugging Face format, as somebody might have it."""
    place = tmp_path_factory.mktemp("own")
    hub.invent_tokenizer(place / "tokenizer")
    make("qwen2", place / "tokenizer", place / "mine", context=256)
    (place / "mine" / "ready.json").unlink()
    return place / "mine"


def with_model(root, scale, folder):
    """The configuration with the model beside a scale's own, trained from by one seed more."""
    values = read_values(root / "config.yaml")
    entry = values["scales"][scale]
    entry["models"].setdefault("sources", {})["mine"] = {"path": str(folder)}
    return values


@pytest.mark.parametrize("scale", ["mini", "smoke", "rehearsal"])
def test_one_entry_adds_a_local_model_to_a_scale_of_another_origin(root, folder, scale):
    values = with_model(root, scale, folder)
    values["scales"][scale]["models"]["names"] = ["mine"]
    plan = Plan(parse_config(values), scale)
    assert plan.bases == ["mine"]
    assert {run.base_ready for run in plan.runs() if run.study == "table5"} == {f"results/{scale}/base/mine/ready.json"}
    assert plan.scale.models.origin("mine") == "hub"


@pytest.mark.parametrize("scale", ["mini", "rehearsal"])
def test_an_arm_may_start_from_it_and_no_other_run_changes(root, folder, scale):
    before = Plan(parse_config(read_values(root / "config.yaml")), scale)
    values = with_model(root, scale, folder)
    own = {"method": "sft", "like": "sft", "models": ["mine"]}
    values["scales"][scale]["studies"]["scaling"]["arms"]["own"] = own
    after = Plan(parse_config(values), scale)
    assert {run.base for run in after.runs() if run.arm == "own"} == {"mine"}
    assert {run.id for run in before.runs()} == {run.id for run in after.runs() if run.arm != "own"}


def test_its_files_are_recorded_where_they_lie(folder, tmp_path):
    hub.main(["--name", "mine", "--source", json.dumps({"path": str(folder)}), "--out", str(tmp_path / "mine")])
    found = find_model(tmp_path / "mine" / "ready.json")
    assert found.folder == folder
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(found.sha256)


@pytest.mark.slow
def test_the_forecast_knows_its_size_from_its_files(root, folder):
    size = read_size(folder)
    model = load_model(folder)
    assert size.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert (size.layers, size.vocabulary) == (model.config.num_hidden_layers, model.config.vocab_size)
    values = with_model(root, "paper", folder)
    values["scales"]["paper"]["models"]["names"] = ["mine"]
    plan = Plan(parse_config(values), "paper")
    assert model_size(plan, "mine") == size
    assert disk(plan, 1)["base models"] < 1e-3


def test_a_folder_that_is_no_model_has_no_size(tmp_path):
    assert read_size(tmp_path) is None
    (tmp_path / "config.json").write_text("[]")
    (tmp_path / "model.safetensors").write_bytes(b"\x01")
    assert read_size(tmp_path) is None


def test_a_model_that_nothing_is_known_of_is_refused_with_the_nearest_name(root, folder):
    values = with_model(root, "rehearsal", folder)
    values["scales"]["rehearsal"]["models"]["names"] = ["mime"]
    with pytest.raises(SdftError, match=r"'mime' is not in models.sources; did you mean 'mine'\?"):
        parse_config(values)
