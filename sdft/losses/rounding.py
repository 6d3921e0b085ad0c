"""Stochastic rounding of what is kept in bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor


def round_stochastically(values: Tensor, generator: torch.Generator) -> Tensor:
    """float32 values as bfloat16, each up or down with the probability that keeps its mean (Croci et al. 2022).

    bfloat16 is the upper half of float32, so a random number is added to the lower half, which is then cut off.
    """
    noise = torch.randint(1 << 16, values.shape, dtype=torch.int32, device=values.device, generator=generator)
    return (values.view(torch.int32) + noise).bitwise_and_(-(1 << 16)).view(torch.float32).bfloat16()
