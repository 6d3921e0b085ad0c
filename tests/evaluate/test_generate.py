"""Decoding agrees with transformers' own, and does not depend on order or neighbours."""

from __future__ import annotations

import random

import pytest
import torch

from sdft.evaluate import generate as decoding
from sdft.evaluate.generate import BATCH_TOKENS, end_tokens, generate, rows_at_once

END = {2}


@pytest.fixture
def prompts():
    rng = random.Random(0)
    return [[rng.randrange(3, 43) for _ in range(rng.randrange(2, 20))] for _ in range(23)]


def greedy(model, prompts, **options):
    return generate(model, prompts, end=END, **{"max_new_tokens": 12, "batch_size": 8, **options})


def test_greedy_is_what_transformers_generates_for_each_prompt_alone(model, prompts):
    found = greedy(model, prompts)
    for prompt, completion in zip(prompts, found, strict=True):
        ids = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=12, eos_token_id=2, pad_token_id=0)
        expected = ids[0, len(prompt) :].tolist()
        assert completion.finished == (expected[-1] == 2)
        assert completion.tokens == (expected[:-1] if completion.finished else expected)
    assert {completion.finished for completion in found} == {True, False}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_order_does_not_matter(model, prompts, temperature):
    shuffled = random.Random(1).sample(range(len(prompts)), len(prompts))
    there = greedy(model, prompts, temperature=temperature)
    again = greedy(model, [prompts[index] for index in shuffled], temperature=temperature)
    assert again == [there[index] for index in shuffled]


def test_the_models_own_generation_settings_are_not_applied(model, prompts):
    plain = greedy(model, prompts)
    model.generation_config.repetition_penalty = 5.0
    model.generation_config.do_sample = True
    assert greedy(model, prompts) == plain


@pytest.mark.slow
def test_sampling_follows_its_seed_and_the_distribution(model):
    prompts = [[5, 6, 7]] * 3000
    options = {"max_new_tokens": 1, "batch_size": 3000, "temperature": 1.0}
    drawn = [completion.tokens or [2] for completion in greedy(model, prompts, **options, seed=1)]
    assert drawn == [completion.tokens or [2] for completion in greedy(model, prompts, **options, seed=1)]
    assert drawn != [completion.tokens or [2] for completion in greedy(model, prompts, **options, seed=2)]
    with torch.no_grad():
        expected = model(torch.tensor([[5, 6, 7]])).logits[0, -1].softmax(-1)
    share = torch.bincount(torch.tensor(drawn).flatten(), minlength=len(expected)) / len(drawn)
    assert (share - expected).abs().max() < 4 * (0.25 / len(drawn)) ** 0.5


def test_the_nucleus_keeps_the_likeliest_token_only_when_it_is_tiny(model, prompts):
    assert greedy(model, prompts, temperature=1.0, top_p=1e-6) == greedy(model, prompts)


def test_a_completion_stops_where_the_context_is_full(model):
    (completion,) = greedy(model, [[5] * 60], max_new_tokens=30)
    assert completion.finished or len(completion.tokens) == 4


def test_every_end_token_counts(model, tokenizer):
    model.generation_config.eos_token_id = [2, 7]
    assert end_tokens(model, tokenizer) == {2, 7}
    model.generation_config.eos_token_id = None
    assert end_tokens(model, tokenizer) == {2}


def test_a_batch_never_holds_more_tokens_than_fit_unless_one_prompt_does():
    for longest in (1, 7, 1_300, 22_000, 28_000, 70_000):
        for most in (1, 16, 32, 512):
            rows = rows_at_once(most, longest)
            assert 1 <= rows <= most
            assert rows == 1 or rows * longest <= BATCH_TOKENS
    # Oracle RAG of nine articles, and the longest questions of the skills.
    assert rows_at_once(32, 22_000) == 2
    assert rows_at_once(32, 1_300) == 32


def test_fewer_rows_at_a_time_say_the_same(model, prompts, monkeypatch):
    together, slots = greedy(model, prompts), []
    decode = decoding.decode

    def seen(*arguments, **options):
        slots.append(options["slots"])
        return decode(*arguments, **options)

    monkeypatch.setattr(decoding, "decode", seen)
    monkeypatch.setattr(decoding, "BATCH_TOKENS", 40)
    assert greedy(model, prompts) == together
    assert slots == [40 // max(map(len, prompts))]
