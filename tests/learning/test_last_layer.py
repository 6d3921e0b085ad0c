"""The last layer at the completions' tokens alone gives what the whole layer gives, forwards and backwards."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from sdft.losses.encoding import Completions, completion_hidden
from sdft.losses.last_layer import last_columns

PROMPTS = [[5, 6, 7, 8, 9, 10], [11, 12], [13, 14, 15, 16]]
TOKENS = torch.tensor([[8, 9, 3, 20], [9, 3, 0, 0], [21, 22, 23, 3]])
COMPLETIONS = Completions(TOKENS, TOKENS != 0)
SIZES = {
    "vocab_size": 32,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
}
KINDS = {
    "llama": {"attention_bias": True},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
    "windows": {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    "olmo2": {},
}


def make(kind: str, attention: str = "eager"):
    from transformers import AutoConfig, AutoModelForCausalLM

    changes = dict(KINDS[kind])
    torch.manual_seed(1)
    config = AutoConfig.for_model(changes.pop("model_type", kind), **SIZES | changes)
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()


def whole(model) -> torch.Tensor:
    """The states from the body's ordinary forward pass, one row after the other and without padding."""
    found = []
    for prompt, tokens, mask in zip(PROMPTS, COMPLETIONS.tokens, COMPLETIONS.mask, strict=True):
        ids = torch.tensor([[*prompt, *tokens[mask][:-1].tolist()]])
        states = model.base_model(ids).last_hidden_state[0, len(prompt) - 1 :]
        found.append(torch.nn.functional.pad(states, (0, 0, 0, len(mask) - len(states))))
    return torch.stack(found)


def masked(states: torch.Tensor) -> torch.Tensor:
    return states * COMPLETIONS.mask[..., None]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", KINDS)
def test_states_and_gradients_are_those_of_the_whole_layer(kind, attention):
    model = make(kind, attention)
    twin = deepcopy(model)
    found, expected = masked(completion_hidden(model, PROMPTS, COMPLETIONS, pad=0)), masked(whole(twin))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(0))
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    for (name, one), (_, two) in zip(model.named_parameters(), twin.named_parameters(), strict=True):
        if two.grad is not None:
            torch.testing.assert_close(one.grad, two.grad, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_plain_architectures_return_fewer_states_and_all_are_left_as_they_were(kind):
    model = make(kind)
    ids, mask = torch.arange(1, 8)[None].expand(2, -1), torch.ones(2, 7, dtype=torch.long)
    mask[1, :2] = 0
    with torch.no_grad(), last_columns(model, 3):
        states = model.base_model(ids, attention_mask=mask, use_cache=False).last_hidden_state
    assert states.shape[1] == (7 if kind == "olmo2" else 3)
    assert "forward" not in vars(model.base_model.layers[-1])


def test_in_training_a_model_that_recomputes_activations_keeps_its_layer():
    model = make("qwen2").train()
    model.gradient_checkpointing_enable()
    with last_columns(model, 3):
        assert "forward" not in vars(model.base_model.layers[-1])
    states = masked(completion_hidden(model, PROMPTS, COMPLETIONS, pad=0))
    torch.testing.assert_close(states, masked(whole(model)), rtol=1e-4, atol=1e-5)
    # A teacher is a copy in evaluation mode, which recomputes nothing.
    with last_columns(model.eval(), 3):
        assert "forward" in vars(model.base_model.layers[-1])


def test_a_layer_that_somebody_has_changed_is_left_alone_and_an_error_within_leaves_it_as_it_was():
    layer = (model := make("llama")).base_model.layers[-1]
    with pytest.raises(RuntimeError, match="within"), last_columns(model, 3):
        raise RuntimeError("within")
    assert "forward" not in vars(layer)
    layer.forward = own = layer.forward
    with last_columns(model, 3):
        assert layer.forward is own
    assert layer.forward is own


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_one_row_needs_no_padding_and_gets_the_same_states(attention):
    model, (prompt, tokens) = make("qwen2", attention), (PROMPTS[0], COMPLETIONS.tokens[:1])
    with torch.no_grad():
        found = completion_hidden(model, [prompt], Completions(tokens, tokens != 0), pad=0)
        expected = model.base_model(torch.tensor([[*prompt, *tokens[0, :-1].tolist()]])).last_hidden_state
    torch.testing.assert_close(found, expected[:, -tokens.shape[1] :], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_narrow_weights_and_narrow_products_give_the_states_of_the_whole_layer(kind):
    model = make(kind)
    narrow = deepcopy(model).bfloat16()
    with torch.no_grad():
        found, expected = (
            masked(states).float() for states in (completion_hidden(narrow, PROMPTS, COMPLETIONS, pad=0), whole(narrow))
        )
        torch.testing.assert_close(found, expected, rtol=0.1, atol=0.15)
        with torch.autocast("cpu", torch.bfloat16):
            found, expected = masked(completion_hidden(model, PROMPTS, COMPLETIONS, pad=0)), masked(whole(model))
        torch.testing.assert_close(found.float(), expected.float(), rtol=0.1, atol=0.15)
