"""The last layer at the completions' tokens alone. Of the prompts' tokens only its keys and values are needed.

A teacher's prompt holds a demonstration and is several times as long as the completion, so in a small model a good part
of a forward pass is saved; with 28 layers about 3 % are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

from torch import Tensor

# Architectures whose layer is what `_last` computes.
FAMILIES = ("llama", "qwen2", "qwen3")


@contextmanager
def last_columns(model: Any, columns: int) -> Iterator[None]:
    """Within it the body of `model` may return the final hidden states of its last `columns` tokens alone.

    It does so for the architectures of FAMILIES, where attention is given a mask of all pairs of tokens, as it is where
    rows are padded. It returns the states of all tokens for other architectures, in training with activations that are
    recomputed, since its layers then run again later, and for a layer that somebody else has changed.
    """
    layers = getattr(model.base_model, "layers", None)
    if model.config.model_type not in FAMILIES or not layers or not _is_plain(layers[-1]):
        yield
        return
    layer = layers[-1]

    def forward(layer: Any, states: Tensor, *given: Any, **inputs: Any) -> Tensor:
        mask, turns = inputs.get("attention_mask"), inputs.get("position_embeddings")
        whole = given or not isinstance(mask, Tensor) or mask.dim() != 4 or turns is None
        if whole or inputs.get("past_key_values") is not None:
            return type(layer).forward(layer, states, *given, **inputs)
        return _last(layer, states, mask, turns, columns)

    layer.forward = MethodType(forward, layer)
    try:
        yield
    finally:
        del layer.forward


def _is_plain(layer: Any) -> bool:
    """Whether the layer is as its class makes it, returns states alone, and will not run again in a backward pass."""
    own = layer.self_attn
    changed = "forward" in vars(layer) or "forward" in vars(own) or own._forward_hooks or own._forward_pre_hooks
    # Only layers that know how to recompute themselves return a tensor; those of old releases return a tuple.
    recomputes = getattr(layer, "gradient_checkpointing", None)
    return not changed and recomputes is not None and not (recomputes and layer.training)


def _last(layer: Any, states: Tensor, mask: Tensor, turns: tuple[Tensor, Tensor], columns: int) -> Tensor:
    """The layer's output [B, columns, d] from its input [B, L, d], the mask [B, 1, L, L] and the angles [B, L, w]."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
    from transformers.models.llama.modeling_llama import eager_attention_forward, rotate_half

    own = layer.self_attn
    normed = layer.input_layernorm(states)
    q, k, v = own.q_proj(normed[:, -columns:]), own.k_proj(normed), own.v_proj(normed)
    q, k, v = (part.unflatten(-1, (-1, own.head_dim)) for part in (q, k, v))
    if hasattr(own, "q_norm"):
        q, k = own.q_norm(q), own.k_norm(k)
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    cos, sin = (part[:, None] for part in turns)
    q = q * cos[:, :, -columns:] + rotate_half(q) * sin[:, :, -columns:]
    k = k * cos + rotate_half(k) * sin
    name = own.config._attn_implementation
    attend = eager_attention_forward if name == "eager" else ALL_ATTENTION_FUNCTIONS[name]
    dropout = own.attention_dropout if own.training else 0.0
    found, _ = attend(own, q, k, v, mask[:, :, -columns:], dropout=dropout, scaling=own.scaling)
    states = states[:, -columns:] + own.o_proj(found.flatten(2))
    return states + layer.mlp(layer.post_attention_layernorm(states))
