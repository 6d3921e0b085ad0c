"""A model is found by folder or record, and a damaged one is refused with the file and the remedy."""

from __future__ import annotations

import json
import shutil

import pytest

from sdft.common.errors import SdftError
from sdft.common.files import sha256_files, write_json
from sdft.models.files import find_model, load_model, load_tokenizer


@pytest.fixture
def folder(model_folder, tmp_path):
    return shutil.copytree(model_folder, tmp_path / "model")


def record(folder, name="ready.json"):
    entry = {"path": str(folder), "sha256": sha256_files(folder)}
    path = folder.parent / name
    write_json(path, {"weights": entry} if name == "model.json" else {"model": "tiny", **entry})
    return path


def test_folder_and_records_name_the_same_model(folder):
    plain = find_model(folder)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= plain.sha256.keys()
    for name in ("ready.json", "model.json"):
        path = record(folder, name)
        for given in (path, path.parent):
            found = find_model(given)
            assert found.folder == folder
            assert plain.sha256.items() <= found.sha256.items()
        path.unlink()


def test_a_relative_path_is_looked_up_beside_the_record(folder):
    path = record(folder)
    content = json.loads(path.read_text())
    write_json(path, {**content, "path": "model"})
    assert find_model(path).folder == path.parent / "model"


@pytest.mark.parametrize("name", ["chat_template.jinja", "tokenizer_config.json", "generation_config.json"])
def test_a_folder_without_a_record_is_another_model_with_another_template_tokenizer_or_end(folder, name):
    before = find_model(folder).sha256
    (folder / name).write_text("{}")
    assert find_model(folder).sha256 != before


def test_a_record_that_leaves_out_a_deciding_file_is_refused(folder):
    path = record(folder)
    write_json(path, {"model": "tiny", "path": str(folder), "sha256": {}})
    with pytest.raises(SdftError, match=r"does not record .*which decides what the model says"):
        find_model(path)
    path = record(folder)
    (folder / "added_tokens.json").write_text("{}")
    with pytest.raises(SdftError, match=r"does not record .*added_tokens.json"):
        find_model(path)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_a_damaged_file_of_a_model_is_refused_in_a_paragraph(folder, name, content):
    (folder / name).write_bytes(content)
    load = load_model if name == "config.json" else load_tokenizer
    with pytest.raises(SdftError, match=str(folder)):
        load(folder)


def test_a_changed_weights_file_is_refused(folder):
    path = record(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    with pytest.raises(SdftError, match=r"model.safetensors has sha256 .* restore the file"):
        find_model(path)
    weights.unlink()
    with pytest.raises(SdftError, match=r"model.safetensors is missing"):
        find_model(path)


@pytest.mark.parametrize("size", [0, 20, 2000])
def test_a_truncated_weights_file_is_refused_without_a_record_too(folder, size):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    with pytest.raises(SdftError, match=r"truncated or damaged; restore it"):
        load_model(folder)


def test_what_is_no_model_is_refused(folder, tmp_path):
    with pytest.raises(SdftError, match="does not exist"):
        find_model(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SdftError, match="not a model folder"):
        find_model(tmp_path / "empty")
    write_json(tmp_path / "ready.json", {"model": "tiny"})
    with pytest.raises(SdftError, match="does not say where the weights are"):
        find_model(tmp_path / "ready.json")
    (folder / "config.json").write_text("{}")
    with pytest.raises(SdftError, match="cannot be loaded as a causal language model"):
        load_model(folder)
    with pytest.raises(SdftError, match="holds no tokenizer"):
        load_tokenizer(tmp_path / "empty")


def test_the_tokenizer_beside_a_qwen2_config_is_the_one_in_the_folder(folder, tokenizer):
    text = "<turn> user w1 w2 <end>"
    assert load_tokenizer(folder)(text)["input_ids"] == tokenizer(text)["input_ids"] == [3, 5, 14, 15, 2]
    assert load_tokenizer(folder).chat_template == tokenizer.chat_template


def test_loading_keeps_or_changes_the_dtype(folder):
    assert str(load_model(folder).dtype) == "torch.float32"
    assert str(load_model(folder, dtype="bfloat16").dtype) == "torch.bfloat16"
