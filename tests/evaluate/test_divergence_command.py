"""The estimate of KL to the base is the exact sequence-level KL in expectation, which a toy lets one enumerate."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from sdft.common.errors import SdftError
from sdft.evaluate import distance as divergence
from sdft.evaluate.generate import Completion, generate
from sdft.records.record import Record, write_records

VOCABULARY, END, LONGEST = 4, 2, 3


def toy(seed):
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=16,
        tie_word_embeddings=True,
        initializer_range=0.7,
    )
    return Qwen2ForCausalLM(config).double().eval()


@pytest.fixture(scope="module")
def models():
    return toy(0), toy(1)


# The model sees more than the base does, as a teacher would.
PROMPT, QUESTION = [1, 3, 0, 3, 1], [3, 1]


@torch.no_grad()
def log_probability(model, prompt, response):
    logs = model(torch.tensor([prompt + response])).logits[0].log_softmax(-1)
    return sum(logs[len(prompt) + place - 1, token].item() for place, token in enumerate(response))


def responses():
    """Every response: it ends with END, or is cut at LONGEST."""
    waiting, found = [[]], []
    while waiting:
        start = waiting.pop()
        for token in range(VOCABULARY):
            response = [*start, token]
            (found if token == END or len(response) == LONGEST else waiting).append(response)
    return found


@pytest.fixture(scope="module")
def exact(models):
    """Each response's log-probability under the model, and KL(model || base) by enumeration."""
    model, base = models
    log_p = [log_probability(model, PROMPT, response) for response in responses()]
    log_q = [log_probability(base, QUESTION, response) for response in responses()]
    p = torch.tensor(log_p).exp()
    assert p.sum().item() == pytest.approx(1)
    return p.tolist(), sum(weight * (a - b) for weight, a, b in zip(p.tolist(), log_p, log_q, strict=True))


def sums(models, drawn):
    model, base = models
    n = len(drawn)
    return [sum(row) for row in divergence.token_divergences(model, [PROMPT] * n, base, [QUESTION] * n, drawn, 0)]


def test_the_expectation_over_all_responses_is_the_exact_kl(models, exact):
    p, kl = exact
    estimates = sums(models, responses())
    assert kl > 0.1
    assert sum(weight * value for weight, value in zip(p, estimates, strict=True)) == pytest.approx(kl, rel=1e-5)


def test_samples_agree_with_it_and_vary_less_than_the_sampled_log_ratio(models, exact):
    model, base = models
    found = generate(
        model, [PROMPT] * 2000, end={END}, max_new_tokens=LONGEST, batch_size=2000, temperature=1.0, seed=0
    )
    possible = responses()
    value = dict(zip(map(tuple, possible), sums(models, possible), strict=True))
    ratio = {r: log_probability(model, PROMPT, list(r)) - log_probability(base, QUESTION, list(r)) for r in value}
    drawn = [tuple(divergence.response_tokens(each, END)) for each in found]
    values, ratios = (torch.tensor([table[response] for response in drawn]) for table in (value, ratio))
    assert abs(values.mean() - exact[1]) < 4 * values.std() / len(drawn) ** 0.5
    assert values.std() < ratios.std()


def test_a_model_is_at_no_distance_from_itself(models):
    model, _ = models
    rows = divergence.token_divergences(model, [QUESTION] * 2, model, [QUESTION] * 2, [[1, 3, END], [END]], 0)
    assert [len(row) for row in rows] == [3, 1]
    assert max(map(max, rows)) == 0


def test_estimates_and_their_errors():
    items = [{"nats": [1.0, 3.0], "tokens": [2, 2]}, {"nats": [6.0, 6.0], "tokens": [4, 8]}]
    found = divergence.estimate(items)
    assert found["nats_per_sequence"] == {"mean": 4.0, "se": pytest.approx(2.0)}
    assert found["nats_per_token"]["mean"] == 1.0
    assert found["nats_per_token"]["se"] == pytest.approx(0.0)
    assert divergence.estimate(items[:1])["nats_per_sequence"] == {"mean": 2.0, "se": None}


@pytest.fixture
def run(model_folder, tmp_path):
    records = [
        Record(f"s{n}", [{"role": "user", "content": f"w{n}"}], {"shared": f"w{n} B w{n}"}, "A") for n in range(5)
    ]
    write_records(tmp_path / "test.jsonl", records)

    def call(*arguments, base=model_folder):
        options = ["--model", model_folder, "--base", base, "--task", "science", "--data", tmp_path / "test.jsonl"]
        options += ["--samples", 3, "--batch-size", 6, "--max-new-tokens", 8, "--device", "cpu"]
        divergence.main([str(option) for option in (*options, "--out", tmp_path / "kl.json", *arguments)])
        return json.loads((tmp_path / "kl.json").read_text())

    return call


def test_the_base_is_at_no_distance_from_itself_until_it_is_shown_something(run):
    assert run()["nats_per_sequence"]["mean"] == pytest.approx(0, abs=1e-5)
    shown = run("--context", "shared")
    assert shown["nats_per_token"]["mean"] > 0.01
    assert (shown["context"], shown["n_prompts"], shown["samples"]) == ("shared", 5, 3)
    assert [item["id"] for item in shown["items"]] == [f"s{n}" for n in range(5)]
    for item in shown["items"]:
        assert len(item["nats"]) == len(item["tokens"]) == len(item["finished"]) == 3
        assert all(
            count <= 8 and (done or count == 8) for count, done in zip(item["tokens"], item["finished"], strict=True)
        )
    assert "full vocabulary" in shown["definition"]


def test_both_models_see_a_prompt_that_is_too_long_cut_alike(run, capsys):
    result = run("--max-prompt-tokens", 3)
    assert result["prompts_cut"] == sum(item["cut"] for item in result["items"]) == 5
    assert result["nats_per_sequence"]["mean"] == pytest.approx(0, abs=1e-5)
    assert "5 of 5 prompts are too long and were cut" in capsys.readouterr().err
    with pytest.raises(SdftError, match="--overlong truncate_left"):
        run("--max-prompt-tokens", 3, "--overlong", "error")


def test_an_interrupted_command_continues(run, monkeypatch):
    whole, real, calls = run("--context", "shared"), divergence.token_divergences, []

    def counted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(divergence, "token_divergences", counted)
    with pytest.raises(KeyboardInterrupt):
        run("--context", "shared", "--limit", 4)
    assert run("--context", "shared", "--limit", 4)["items"] == whole["items"][:4]
    assert len(calls) == 3


def test_a_base_with_another_vocabulary_is_refused(run, tmp_path):
    toy(0).save_pretrained(tmp_path / "toy")
    with pytest.raises(SdftError, match="needs one vocabulary"):
        run(base=tmp_path / "toy")


@pytest.mark.parametrize("option", ["--model", "--base"])
def test_a_missing_model_is_named_ahead_of_missing_data(run, option):
    with pytest.raises(SdftError, match="the model nosuch/model does not exist"):
        run(option, "nosuch/model", "--data", "absent.jsonl")


def test_the_ending_token_counts_and_a_cut_response_has_none():
    finished, cut = Completion([5, 6], True), Completion([5, 6], False)
    assert divergence.response_tokens(finished, 2) == [5, 6, 2]
    assert divergence.response_tokens(cut, 2) == [5, 6]
