"""A penalty that keeps a model near the frozen base model: a weight times their KL on the tokens of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from sdft.divergence import BatchLoss, distill
from sdft.losses.encoding import completion_hidden

if TYPE_CHECKING:
    from torch import Tensor


def anchored(
    loss: BatchLoss,
    weight: float,
    hidden: Tensor,
    head: Tensor,
    batch: Any,
    pad: int,
    reduction: Any = "sequence_mean",
) -> BatchLoss:
    """The loss plus weight * KL(base || model) over the whole vocabulary, at every token of the completions.

    hidden: the model's final hidden states [B, C, d]; head: its output embeddings [V, d]; batch: MicroBatch, whose
    `base` sees the questions alone. The terms stay those of the loss itself.
    """
    prompts = [example.prompt for example in batch.examples]
    with torch.no_grad():
        target = completion_hidden(batch.base, prompts, batch.completions, pad)
    base_head = batch.base.get_output_embeddings().weight
    penalty = distill(hidden, head, target, base_head, batch.completions.mask, reduction=reduction)
    return loss._replace(loss=loss.loss + weight * penalty.loss)
