"""The next token from a distribution and one uniform number: the inverse of the cumulative distribution.

A row's numbers come from a generator of its own, one a step. So a row's text hangs neither on the rows beside it nor on
how many are decoded at the same time, apart from what rounding in a matrix product of another size changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sdft.common.seeds import derived_seed

# Words whose probabilities are summed together. A cumulative sum over a whole vocabulary is several times slower.
BLOCK = 1024


class Draw(NamedTuple):
    """temperature: 0 for the likeliest token. top_p: the share of the distribution that is sampled from."""

    temperature: float = 0.0
    top_p: float = 1.0


def uniforms(seeds: Sequence[int], steps: int) -> Tensor:
    """Numbers in [0, 1), float64 [rows, steps]: a row's hang on its seed alone, and its first ones not on `steps`."""
    numbers = [torch.rand(steps, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) for seed in seeds]
    return torch.stack(numbers) if numbers else torch.empty(0, steps, dtype=torch.float64)


def row_seeds(seed: int, rows: Sequence[object]) -> list[int]:
    """A seed for each row's own generator, from the call's seed and what names the row."""
    return [derived_seed(seed, row, "row") for row in rows]


def choose(logits: Tensor, uniform: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    """A token for each row of logits [B, V], and its log-probability at the temperature in nats, float32 [B].

    uniform: [B] in [0, 1). At temperature 0 the likeliest token is taken, the first of equal ones, and its
    log-probability is that at temperature 1. Where logits are no numbers, the log-probability is none either.
    """
    log = logits.float()
    if draw.temperature not in (0, 1):
        log = log / draw.temperature
    log = log - log.amax(-1, keepdim=True)
    chance = log.exp()
    total = chance.sum(-1)
    if draw.temperature == 0:
        token = logits.argmax(-1)
    else:
        token = invert(chance if draw.top_p >= 1 else nucleus(chance, draw.top_p), uniform)
    return token, log.gather(-1, token[:, None])[:, 0] - total.log()


def nucleus(chance: Tensor, top_p: float) -> Tensor:
    """Weights [B, V] without the unlikeliest tokens: those before which likelier ones have `top_p` of the weight."""
    ordered, index = (chance / chance.sum(-1, keepdim=True)).sort(-1, descending=True)
    ordered = ordered.masked_fill(ordered.cumsum(-1) - ordered >= top_p, 0.0)
    return torch.zeros_like(chance).scatter(-1, index, ordered)


def invert(weights: Tensor, uniform: Tensor) -> Tensor:
    """The first token of each row [B] whose cumulative share of the weights [B, V] exceeds `uniform` [B].

    Sums are in float64. A token without weight is never chosen.
    """
    rows, words = weights.shape
    if words <= 4 * BLOCK:
        return _first_above(weights, uniform)[0]
    padded = torch.nn.functional.pad(weights, (0, -words % BLOCK)).view(rows, -1, BLOCK)
    sums = padded.sum(-1).double()
    block, target, up_to = _first_above(sums, uniform)
    within = padded.gather(1, block[:, None, None].expand(-1, 1, BLOCK))[:, 0]
    weight = sums.gather(-1, block[:, None])
    rest = (target - (up_to.gather(-1, block[:, None]) - weight)[:, 0]).clamp(min=0)
    return block * BLOCK + _first_above(within, rest / weight[:, 0])[0]


def _first_above(weights: Tensor, share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The first place [B] whose cumulative weight exceeds a share [B] of the whole, that weight, and all these sums."""
    sums = weights.cumsum(-1, dtype=torch.float64)
    total = sums[:, -1]
    # A product may round up to the whole sum, and above that there is no place.
    target = torch.minimum(share * total, torch.nextafter(total, torch.zeros_like(total)))
    place = torch.searchsorted(sums, target[:, None], right=True).clamp(max=weights.shape[-1] - 1)
    return place[:, 0], target, sums
