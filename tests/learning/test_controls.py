"""The controls that readers of the paper ask for, and low-rank adapters: each differs from its method in one thing."""

from __future__ import annotations

import pytest
import torch
from conftest import make_model, make_records, make_spec, make_tokenizer, read_metrics

from sdft.common.errors import SdftError
from sdft.divergence import token_divergence
from sdft.learning.checkpoint import Checkpoints
from sdft.learning.engines import GenerateEngine
from sdft.learning.loop import Training
from sdft.learning.spec import Inputs
from sdft.losses.encoding import Encoder, completion_hidden
from sdft.methods import find_method
from sdft.methods.base import MicroBatch
from sdft.records.record import Record, write_records
from sdft.train import train


def made(world, name, **options):
    settings = make_spec(world, name).settings
    kind = find_method(name)
    method = kind(settings, 0, kind.Options(**options))
    encoder = Encoder(make_tokenizer(), 128, settings)
    examples = [method.encode(record, encoder, "shared") for record in make_records(3)]
    return method, examples


def kl_to_base(base, student, examples, completions):
    """KL(base || student): mean over each answer's tokens, then over the answers."""
    prompts = [example.prompt for example in examples]
    logits = [
        completion_hidden(model, prompts, completions, 0) @ model.get_output_embeddings().weight.T
        for model in (student, base)
    ]
    found = token_divergence(*logits) * completions.mask
    return (found.sum(-1) / completions.mask.sum(-1)).mean()


@pytest.mark.parametrize(
    ("name", "plain", "option"), [("sft_kl", "sft", "kl_weight"), ("sdft_anchored", "sdft", "anchor_weight")]
)
def test_an_anchor_adds_its_weight_times_the_kl_to_the_base_and_that_gradient(world, name, plain, option):
    method, examples = made(world, name, **{option: 0.7})
    other, _ = made(world, plain)
    student, twin, base = make_model(0), make_model(0), make_model(1).requires_grad_(False)
    completions = method.completions(examples, student, GenerateEngine(0, [3]), 0)
    teacher = make_model(2)
    found = method.loss(MicroBatch(examples, completions, base), student, teacher).loss
    expected = other.loss(MicroBatch(examples, completions), twin, teacher).loss
    expected = expected + 0.7 * kl_to_base(base, twin, examples, completions)
    torch.testing.assert_close(found, expected)
    found.backward()
    expected.backward()
    for one, two in zip(student.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-3, atol=1e-6)


def test_the_base_of_an_anchored_run_is_the_model_that_training_starts_from(world, tmp_path):
    spec = make_spec(world, "sft_kl")
    run = Training(spec, Inputs(spec), tmp_path, Checkpoints(tmp_path / "state", "mark"), quiet=True)
    before = {name: value.clone() for name, value in run.base.named_parameters()}
    run.run()
    assert all(torch.equal(value, before[name]) for name, value in run.base.named_parameters())
    assert any(not torch.equal(value, before[name]) for name, value in run.student.named_parameters())


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_mismatched_rows_keep_their_questions_and_get_another_row_s_demonstration(world, share):
    method, _ = made(world, "sdft_mismatched", mismatched=share)
    records = make_records(12)
    found = method.arrange(records, [], seed=3)
    assert [(row.id, row.prompt) for row in found] == [(row.id, row.prompt) for row in records]
    texts = [row.demonstrations["shared"] for row in records]
    changed = [row.demonstrations["shared"] != text for row, text in zip(found, texts, strict=True)]
    assert sum(changed) == share * 12
    assert sorted(row.demonstrations["shared"] for row in found) == sorted(texts)
    assert found == method.arrange(records, [], seed=3)


def test_replay_mixes_general_prompts_in_with_answers_of_the_base(world, tmp_path):
    prompts = [Record(f"general-{n}", [{"role": "user", "content": f"w{n}"}]) for n in range(20)]
    write_records(tmp_path / "general.jsonl", prompts)
    spec = make_spec(world, "sft_replay")
    spec = spec.model_copy(update={"data": spec.data | {"prompts": str(tmp_path / "general.jsonl")}})
    run = Training(spec, Inputs(spec), tmp_path, Checkpoints(tmp_path / "state", "mark"), quiet=True)
    rows = len(make_records())
    general = [example for example in run.examples if example.id.startswith("general-")]
    assert (len(run.examples), len(general)) == (rows + rows // 2, rows // 2)
    plain = {example.id: example.completion for example in run.examples if example.completion is not None}
    run.draw_samples()
    assert all(example.completion for example in run.examples)
    assert {example.id: example.completion for example in run.examples if example.id in plain} == plain
    with pytest.raises(SdftError, match=r"needs data.prompts"):
        Inputs(make_spec(world, "sft_replay").model_copy(update={"data": {**spec.data, "prompts": None}}))


def test_adapters_without_peft_are_refused_with_the_remedy(world, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(SdftError, match="pip install peft"):
        train(make_spec(world, "sft", lora_rank=2), tmp_path / "run", quiet=True)


@pytest.mark.parametrize("method", ["sft", "sdft"])
def test_adapters_train_few_weights_and_are_saved_as_whole_ones(world, tmp_path, method):
    pytest.importorskip("peft", reason="peft is not installed")
    from transformers import AutoModelForCausalLM

    spec = make_spec(world, method, lora_rank=2)
    run = Training(spec, Inputs(spec), tmp_path, Checkpoints(tmp_path / "state", "mark"), quiet=True)
    trained = {name for name, value in run.student.named_parameters() if value.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    record = run.run()
    saved = AutoModelForCausalLM.from_pretrained(record["weights"]["path"], local_files_only=True)
    ids = torch.arange(4, 12)[None]
    torch.testing.assert_close(saved(input_ids=ids).logits, run.student(input_ids=ids).logits, rtol=1e-4, atol=1e-4)
    again = train(spec, tmp_path / "again", quiet=True)
    assert [entry["loss"] for entry in read_metrics(tmp_path / "again")] == [entry["loss"] for entry in run.log]
    assert again["steps"] == record["steps"]
