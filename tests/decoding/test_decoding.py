"""The decoding loop writes what transformers writes, and what the model says without a cache."""

from __future__ import annotations

import random

import pytest
import torch

from sdft.decoding import Draw, decode, uniforms
from sdft.decoding.plain import is_plain
from sdft.decoding.sampling import choose, invert

STOP = [3, 7]
SIZES = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "eos_token_id": 3,
    "pad_token_id": 0,
    # Wide weights, so that texts hang on every token before.
    "initializer_range": 0.3,
}
KINDS = {
    "qwen2": {},
    "llama3_rope": {
        "model_type": "llama",
        "attention_bias": True,
        "head_dim": 16,
        "tie_word_embeddings": False,
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 1e4,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    },
    "qwen3": {},
    "olmo3": {"layer_types": None},
}


def make(kind: str):
    from transformers import AutoConfig, AutoModelForCausalLM

    changes = dict(KINDS[kind])
    torch.manual_seed(1)
    config = AutoConfig.for_model(changes.pop("model_type", kind), **SIZES | changes)
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.fixture(scope="module", params=list(KINDS))
def model(request):
    return make(request.param)


@pytest.fixture(scope="module")
def prompts():
    rng = random.Random(0)
    return [[rng.randrange(8, 61) for _ in range(rng.randrange(1, 16))] for _ in range(9)]


def written(found):
    return [row[:length] for row, length in zip(found.tokens.tolist(), found.lengths.tolist(), strict=True)]


def run(model, prompts, numbers=None, **options):
    given = {"stop": STOP, "limits": [12] * len(prompts), "draw": Draw(1.0 if numbers is not None else 0.0)}
    return decode(model, prompts, numbers=numbers, **given | options)


def test_families_are_computed_plainly_and_others_by_transformers():
    assert [kind for kind in KINDS if is_plain(make(kind))] == ["qwen2", "llama3_rope", "qwen3"]


def test_a_changed_layer_is_left_to_its_own_module():
    model = make("qwen2")

    class Scaled(torch.nn.Linear):
        pass

    model.model.layers[1].mlp.up_proj = Scaled(32, 48, bias=False)
    assert not is_plain(model)


def test_greedy_texts_are_those_of_transformers_for_each_prompt_alone(model, prompts):
    options = {"do_sample": False, "max_new_tokens": 12, "eos_token_id": STOP, "pad_token_id": 0}
    alone = [model.generate(torch.tensor([prompt]), **options)[0, len(prompt) :].tolist() for prompt in prompts]
    for slots in (None, 4):
        found = run(model, prompts, slots=slots)
        assert written(found) == alone
        assert found.ended.tolist() == [tokens[-1] in STOP for tokens in alone]


def by_the_whole_model(model, prompt, numbers, temperature):
    """Tokens and log-probabilities from the inverse of the cumulative distribution, the model called anew each time."""
    tokens, log_probs = [], []
    for number in numbers.tolist():
        logits = model(torch.tensor([prompt + tokens])).logits[0, -1].double() / temperature
        chances = logits.softmax(-1)
        tokens.append(int((chances.cumsum(-1) <= number).sum()))
        log_probs.append(float(chances[tokens[-1]].log()))
        if tokens[-1] in STOP:
            break
    return tokens, log_probs


@torch.no_grad()
def test_samples_are_those_of_the_same_numbers_without_a_cache(model, prompts):
    numbers, temperature = uniforms(range(len(prompts)), 12), 0.7
    found = run(model, prompts, numbers, draw=Draw(temperature))
    for row, prompt in enumerate(prompts):
        tokens, log_probs = by_the_whole_model(model, prompt, numbers[row], temperature)
        length = len(tokens)
        assert written(found)[row] == tokens
        torch.testing.assert_close(found.log_probs[row, :length].tolist(), log_probs, rtol=1e-3, atol=1e-4)
        assert not found.log_probs[row, length:].any()


def test_neighbours_and_slots_change_no_sample(model, prompts):
    numbers = uniforms(range(len(prompts)), 12)
    together = written(run(model, prompts, numbers))
    assert written(run(model, prompts, numbers, slots=3)) == together
    assert written(run(model, prompts[4:7], numbers[4:7])) == together[4:7]


def test_each_row_has_its_own_limit(model, prompts):
    limits = [1 + row % 5 for row in range(len(prompts))]
    long, short = run(model, prompts), run(model, prompts, limits=limits, slots=4)
    for whole, part, limit in zip(written(long), written(short), limits, strict=True):
        assert part == whole[:limit]


def test_the_models_own_generation_settings_have_no_say_and_its_mode_stays(model, prompts):
    numbers = uniforms(range(len(prompts)), 12)
    plain = written(run(model, prompts, numbers))
    kept = model.generation_config.repetition_penalty
    model.generation_config.repetition_penalty = 5.0
    model.train()
    state = torch.get_rng_state()
    try:
        assert written(run(model, prompts, numbers)) == plain
        assert model.training
    finally:
        model.generation_config.repetition_penalty = kept
        model.eval()
    assert torch.equal(torch.get_rng_state(), state)


def test_a_distribution_that_is_no_number_is_refused(prompts):
    model = make("qwen2")
    torch.nn.init.constant_(model.model.norm.weight, torch.nan)
    with pytest.raises(FloatingPointError):
        run(model, prompts)


def test_every_row_that_ends_is_told(model, prompts):
    ended = []
    run(model, prompts, slots=4, advance=ended.append)
    assert sum(ended) == len(prompts)


def test_a_rows_numbers_are_its_own():
    first, second = uniforms([5, 6], 4), uniforms([6], 9)
    assert torch.equal(first[1], second[0, :4])
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("words", [50, 9000])
def test_the_inverse_takes_the_first_word_whose_cumulative_share_exceeds_the_number(words):
    torch.manual_seed(0)
    weights = torch.rand(64, words) * (torch.rand(64, words) > 0.4)
    number = torch.rand(64, dtype=torch.float64)
    number[0], number[1] = 0, 1 - 2**-53
    found = invert(weights, number)
    shares = weights.double().cumsum(-1) / weights.double().sum(-1, keepdim=True)
    expected = (shares <= number[:, None]).sum(-1).clamp(max=words - 1)
    assert (weights.gather(-1, found[:, None]) > 0).all()
    # Where a number stands within float32's rounding of a boundary, the neighbour is as good.
    near = (shares.gather(-1, found[:, None])[:, 0] - number).abs() < 1e-6
    assert ((found == expected) | near).all()
    assert (found == expected)[1:].float().mean() > 0.95


def test_samples_have_the_frequencies_of_the_distribution():
    torch.manual_seed(0)
    logits = torch.randn(1, 30) * 2
    expected = (logits / 0.8).softmax(-1)[0]
    token, log_prob = choose(logits.expand(40_000, -1), uniforms([1], 40_000)[0], Draw(0.8))
    found = torch.bincount(token, minlength=30) / len(token)
    assert ((found - expected).abs() < 4 * (expected / len(token)).sqrt() + 1e-4).all()
    torch.testing.assert_close(log_prob, expected.log()[token], rtol=1e-4, atol=1e-4)


def test_a_nucleus_leaves_the_unlikely_out():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    token, _ = choose(logits.expand(1000, -1), uniforms([1], 1000)[0], Draw(1.0, top_p=0.7))
    assert set(token.tolist()) == {0, 1}


@pytest.mark.slow
def test_a_stop_that_transformers_notices_one_step_late_adds_no_token_and_no_log_probability(prompts, monkeypatch):
    from transformers.generation.utils import DeferredStopCheck

    class Event:
        """A CPU has none; there everything is done when it is asked."""

        def __init__(self, **_):
            pass

        def record(self):
            pass

        def synchronize(self):
            pass

    model, numbers = make("olmo3"), uniforms(range(len(prompts)), 40)
    rows = run(model, prompts, numbers, limits=[40] * len(prompts)).ended.nonzero()[:, 0].tolist()
    prompts, numbers, limits = [prompts[row] for row in rows], numbers[rows], [40] * len(rows)
    expected = run(model, prompts, numbers, limits=limits)
    assert len(rows) > 1
    assert all(expected.ended.tolist())
    steps = []
    monkeypatch.setattr("torch.Event", Event)
    monkeypatch.setattr(DeferredStopCheck, "is_supported", staticmethod(lambda *_, **__: True))
    monkeypatch.setattr(DeferredStopCheck, "finish", lambda self: steps.append(1) or 1)
    found = run(model, prompts, numbers, limits=limits)
    assert steps
    for one, two in zip(found, expected, strict=True):
        width = min(one.shape[-1], two.shape[-1])
        assert torch.equal(one[..., :width], two[..., :width])
        assert not one[..., width:].any()
