"""TRL's SDFTTrainer with the documented settings has our loss, and rows go to TRL and back."""

from __future__ import annotations

import json

import pytest
import torch
from conftest import make_model, make_records, make_spec, make_tokenizer

from sdft.common.errors import SdftError
from sdft.learning.card import card
from sdft.learning.spec import Inputs
from sdft.losses.encoding import Completions, Encoder
from sdft.methods import find_method
from sdft.methods.base import MicroBatch
from sdft.models.files import find_model
from sdft.records.jsonl import COMPLETION
from sdft.records.record import Record
from sdft.records.trl import SDFT_CONFIG, from_trl, main, to_trl


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_rows_come_back_from_trl_as_they_went(tmp_path):
    user = [{"role": "user", "content": "Why?"}]
    records = [
        Record("a", user, {"shared": "Because of this."}, "this", {"n": 1}),
        Record("b", user, {"shared": "Look here, so.", COMPLETION: "So."}, None),
    ]
    rows = [to_trl(record) for record in records]
    assert rows[1]["privileged_context"] == "Look here, so."
    assert rows[1]["completion"] == [{"role": "assistant", "content": "So."}]
    assert from_trl(written(tmp_path / "trl.jsonl", rows), "shared") == records
    main(["--to", "sdft", str(tmp_path / "trl.jsonl"), str(tmp_path / "back.jsonl"), "--style", "shared"])
    main(["--to", "trl", str(tmp_path / "back.jsonl"), str(tmp_path / "again.jsonl")])
    assert (tmp_path / "again.jsonl").read_text() == (tmp_path / "trl.jsonl").read_text()
    with pytest.raises(SdftError, match="name one with --style"):
        to_trl(Record("c", user, {"one": "x", "two": "y"}))


@pytest.mark.slow
def test_the_loss_of_trl_s_trainer_with_the_documented_settings_is_ours(world, tmp_path):
    sdft = pytest.importorskip("trl.experimental.sdft", reason="TRL is not installed")
    from datasets import Dataset
    from transformers import AutoModelForCausalLM

    records, tokenizer, teacher = make_records(3), make_tokenizer(), make_model(1)
    student = AutoModelForCausalLM.from_pretrained(find_model(world / "base.json").folder, local_files_only=True)
    rows = [to_trl(record, "shared") for record in records]
    columns = [{key: row[key] for key in ("prompt", "privileged_context")} for row in rows]
    config = sdft.SDFTConfig(
        output_dir=str(tmp_path),
        per_device_train_batch_size=3,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        **SDFT_CONFIG | {"max_completion_length": 6},
    )
    trainer = sdft.SDFTTrainer(
        model=student, args=config, train_dataset=Dataset.from_list(columns), processing_class=tokenizer
    )
    trainer.teacher_model.load_state_dict(teacher.state_dict())
    batch = trainer._prepare_training_batch(columns)
    theirs = trainer.compute_loss(trainer.model, batch)
    settings = make_spec(world, "sdft", skip_tokens=3, importance_clip=None).settings
    method = find_method("sdft")(settings, tokenizer.pad_token_id)
    encoder = Encoder(tokenizer, 128, settings)
    examples = [method.encode(record, encoder, "shared") for record in records]
    prompts = [ids[mask.bool()].tolist() for ids, mask in zip(batch["prompt_ids"], batch["prompt_mask"], strict=True)]
    assert prompts == [example.prompt for example in examples]
    width = batch["completion_ids"].shape[1]
    shown = [
        ids[:-width][mask[:-width].bool()].tolist()
        for ids, mask in zip(batch["teacher_input_ids"], batch["teacher_attention_mask"], strict=True)
    ]
    assert shown == [example.teacher_prompt for example in examples]
    completions = Completions(batch["completion_ids"], batch["completion_mask"].bool())
    ours = method.loss(MicroBatch(examples, completions), trainer.model, trainer.teacher_model)
    torch.testing.assert_close(ours.loss, theirs)
    assert ours.loss > 0


def test_a_model_card_names_base_method_rows_and_licence_and_is_equal_for_equal_runs(world):
    spec = make_spec(world, "sdft")
    inputs = Inputs(spec)
    text = card(spec, inputs)
    assert text == card(spec, Inputs(spec))
    for said in (
        "base_model: base",
        "license: other",
        "`sdft`",
        inputs.rows_sha256,
        "learning rate 0.01",
        "Apache-2.0",
    ):
        assert said in text
