"""Samples come from the student's own distribution, are decided by the seed, and end where the model ends them."""

from __future__ import annotations

import pytest
import torch
from conftest import make_model, make_tokenizer

from sdft.learning.engines import GenerateEngine, stop_tokens
from sdft.losses.encoding import Completions, completion_hidden, pad_left
from sdft.losses.importance import importance_weights

PROMPTS = [[2, 5, 7, 8, 9], [4, 5], [10, 11, 12]]
ENGINE = GenerateEngine(pad=0, stop=[3])


def sample(model, prompts=PROMPTS, seed=0, temperature=1.0, tokens=8):
    return ENGINE.sample(model, prompts, temperature=temperature, max_new_tokens=tokens, seed=seed)


def log_probs(model, prompts, completions, temperature=1.0):
    hidden = completion_hidden(model, prompts, completions, pad=0)
    scores = (hidden @ model.get_output_embeddings().weight.T / temperature).log_softmax(-1)
    return scores.gather(-1, completions.tokens[..., None])[..., 0] * completions.mask


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_recorded_log_probs_are_those_of_the_trainer(temperature):
    model = make_model()
    with torch.no_grad():
        found = sample(model, temperature=temperature)
        torch.testing.assert_close(found.log_probs, log_probs(model, PROMPTS, found, temperature), rtol=1e-4, atol=1e-4)


def test_hidden_states_do_not_depend_on_padding_or_neighbours():
    model = make_model()
    completions = Completions(torch.tensor([[8, 9, 3], [9, 3, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]]).bool())
    with torch.no_grad():
        together = completion_hidden(model, PROMPTS[:2], completions, pad=0)
        alone = model.base_model(torch.tensor([[*PROMPTS[1], 9, 3]])).last_hidden_state[0]
    # The state that predicts completion token t stands one position before it.
    torch.testing.assert_close(together[1, :2], alone[1:3], rtol=1e-4, atol=1e-5)


def test_a_seed_decides_the_samples_and_leaves_the_global_random_state_alone():
    model = make_model().train()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    one, same, other = sample(model, seed=1), sample(model, seed=1), sample(model, seed=2)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(one.tokens, same.tokens)
    assert not torch.equal(one.tokens, other.tokens)
    assert model.training


def test_the_models_own_generation_config_has_no_say():
    model = make_model()
    plain = sample(model)
    for name, value in {"repetition_penalty": 5.0, "top_k": 1, "top_p": 0.1, "temperature": 0.1}.items():
        setattr(model.generation_config, name, value)
    assert torch.equal(sample(model).tokens, plain.tokens)
    assert model.generation_config.repetition_penalty == 5.0


def test_samples_have_the_frequencies_of_the_distribution():
    model = make_model()
    prompt = [[2, 5, 7]]
    with torch.no_grad():
        expected = model(torch.tensor(prompt)).logits[0, -1].softmax(-1)
    first = sample(model, prompt * 4000, tokens=1).tokens[:, 0]
    found = torch.bincount(first, minlength=47) / 4000
    # Four standard errors of a frequency over 4000 samples.
    assert ((found - expected).abs() < 4 * (expected * (1 - expected) / 4000).sqrt() + 1e-3).all()


def test_a_completion_includes_its_end_and_nothing_after():
    model = make_model()
    found = sample(model, PROMPTS * 40, tokens=30)
    ended = 0
    for tokens, mask in zip(found.tokens.tolist(), found.mask.tolist(), strict=True):
        length = sum(mask)
        assert mask == [True] * length + [False] * (len(mask) - length)
        assert 3 not in tokens[: length - 1]
        assert set(tokens[length:]) <= {0}
        ended += tokens[length - 1] == 3
    assert 0 < ended < 120


def test_prompts_are_padded_on_the_left():
    ids, mask = pad_left([[5, 6, 7], [8]], 0, torch.device("cpu"))
    assert ids.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert mask.tolist() == [[True, True, True], [False, False, True]]


def test_importance_weights_are_clipped_by_token_and_averaged_by_sequence():
    trainer = torch.log(torch.tensor([[0.5, 0.8, 0.1], [0.2, 0.2, 0.2], [0.3, 0.3, 0.3]]))
    engine = torch.log(torch.tensor([[0.5, 0.2, 0.9], [0.4, 0.1, 0.1], [0.3, 0.3, 0.3]]))
    mask = torch.tensor([[1, 1, 0], [1, 1, 1], [0, 0, 0]]).bool()
    found = importance_weights(trainer, engine, mask, clip=1.5)
    torch.testing.assert_close(found, torch.tensor([[(1 + 1.5) / 2], [(0.5 + 1.5 + 1.5) / 3], [1.0]]))


def test_every_end_of_turn_token_stops():
    model = make_model()
    model.generation_config.eos_token_id = [3, 9]
    assert stop_tokens(model, make_tokenizer()) == [3, 9]
    model.generation_config.eos_token_id = None
    assert stop_tokens(model, make_tokenizer()) == [3]
