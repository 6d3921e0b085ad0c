"""Which form of attention a model is trained with."""

from __future__ import annotations

from typing import Any

# Weights of a small model.
SMALL_BYTES = 64 << 20


def choose_attention(model: Any) -> None:
    """Give a small model on a CPU the attention that is written out: a kernel costs it more than it saves (measured).

    A larger one keeps the kernel, which stores no scores of all pairs of tokens.
    """
    size = sum(weight.numel() * weight.itemsize for weight in model.parameters())
    if model.device.type == "cpu" and size <= SMALL_BYTES:
        model.set_attn_implementation("eager")
