"""The last layer at the completions' tokens alone: of the prompts' it needs keys and values, and nothing else is read.

A teacher's prompt holds a demonstration and is several times as long as the completion, so in a small model a good part
of a forward pass is saved; with 28 layers about 3 % are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor

from sdft.decoding.plain import FAMILIES


@contextmanager
def last_columns(model: Any, columns: int) -> Iterator[None]:
    """Within it the body of `model` may return the final hidden states of its last `columns` tokens alone.

    It does so for the architectures of FAMILIES, with attention that is given a mask of all pairs of tokens. Others
    return the states of all tokens, and so does a model that recomputes activations, since its layers run again later.
    """
    layers = getattr(model.base_model, "layers", None)
    if model.config.model_type not in FAMILIES or not layers or getattr(layers[-1], "gradient_checkpointing", False):
        yield
        return
    layer = layers[-1]

    def forward(layer: Any, states: Tensor, *given: Any, **inputs: Any) -> Tensor:
        mask = inputs.get("attention_mask")
        if given or not isinstance(mask, Tensor) or mask.dim() != 4 or inputs.get("past_key_values") is not None:
            return type(layer).forward(layer, states, *given, **inputs)
        return _last(layer, states, mask, inputs["position_embeddings"], columns)

    layer.forward = MethodType(forward, layer)
    try:
        yield
    finally:
        del layer.forward


def _last(layer: Any, states: Tensor, mask: Tensor, turns: tuple[Tensor, Tensor], columns: int) -> Tensor:
    """The layer's output [B, columns, d] from its input [B, L, d], the mask [B, 1, L, L] and the angles [B, L, w]."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
    from transformers.models.llama.modeling_llama import eager_attention_forward

    own = layer.self_attn
    normed = layer.input_layernorm(states)
    q, k, v = own.q_proj(normed[:, -columns:]), own.k_proj(normed), own.v_proj(normed)
    q, k, v = (part.unflatten(-1, (-1, own.head_dim)) for part in (q, k, v))
    if hasattr(own, "q_norm"):
        q, k = own.q_norm(q), own.k_norm(k)
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    q, k = _turned(q, *(part[:, -columns:] for part in turns)), _turned(k, *turns)
    attend = ALL_ATTENTION_FUNCTIONS.get_interface(own.config._attn_implementation, eager_attention_forward)
    dropout = own.attention_dropout if own.training else 0.0
    found, _ = attend(own, q, k, v, mask[:, :, -columns:], dropout=dropout, scaling=own.scaling)
    states = states[:, -columns:] + own.o_proj(found.flatten(2))
    return states + layer.mlp(layer.post_attention_layernorm(states))


def _turned(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Queries or keys [B, heads, L, w], turned by the angles of their places."""
    one, two = states.chunk(2, -1)
    return states * cos[:, None] + torch.cat([-two, one], -1) * sin[:, None]
