"""Correction for an engine whose probabilities differ from the trainer's."""

from __future__ import annotations

import torch
from torch import Tensor


def importance_weights(trainer: Tensor, engine: Tensor, mask: Tensor, clip: float) -> Tensor:
    """One weight a sequence, [B, 1]: its tokens' ratios exp(trainer - engine), each at most `clip`, averaged.

    trainer, engine: log-probabilities [B, C] of the sampled tokens in nats; mask: [B, C]. Sequences without tokens get
    1. This is the official code's truncated importance sampling (token-wise clip 2.0, sequence mean).
    """
    ratios = (trainer - engine).exp().clamp(max=clip) * mask
    counts = mask.sum(-1, keepdim=True)
    return torch.where(counts > 0, ratios.sum(-1, keepdim=True) / counts.clamp(min=1), 1.0).detach()
