"""Decoding with transformers' `generate`, for architectures whose forward pass is not written out here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from sdft.decoding.sampling import Draw, choose


def generated(
    model: Any,
    prompts: list[list[int]],
    stop: Sequence[int],
    limits: Sequence[int],
    draw: Draw,
    numbers: Tensor,
    slots: int,
    advance: Callable[[int], Any],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """As `sdft.decoding.loop.decode`: the fields of `Decoded`. `slots` prompts make a batch."""
    parts = []
    for start in range(0, len(prompts), slots):
        rows = slice(start, start + slots)
        parts.append(_batch(model, prompts[rows], stop, max(limits[rows]), draw, numbers[rows]))
        advance(len(prompts[rows]))
    width = max(tokens.shape[1] for tokens, _ in parts)
    tokens, log_probs = (
        torch.cat([torch.nn.functional.pad(part[place], (0, width - part[place].shape[1])) for part in parts])
        for place in (0, 1)
    )
    stops = torch.isin(tokens, torch.tensor(sorted(stop), device=tokens.device))
    most = torch.tensor(list(limits), device=tokens.device)
    places = torch.arange(width, device=tokens.device)
    first = torch.where(stops, places, width).amin(-1)
    lengths = torch.minimum(first + 1, most)
    inside = places < lengths[:, None]
    return tokens * inside, lengths, first < most, log_probs * inside


def _batch(
    model: Any, prompts: list[list[int]], stop: Sequence[int], limit: int, draw: Draw, numbers: Tensor
) -> tuple[Tensor, Tensor]:
    """Tokens and log-probabilities [B, C] of one batch; what follows a row's end means nothing."""
    from transformers import GenerationConfig, LogitsProcessorList

    device = next(model.parameters()).device
    width, pad = max(map(len, prompts)), min(stop, default=0)
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts], device=device)
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    present = torch.arange(width, device=device) >= width - lengths[:, None]
    plain = GenerationConfig(
        do_sample=False, max_new_tokens=limit, pad_token_id=pad, eos_token_id=sorted(stop) or None, use_cache=True
    )
    chosen: list[tuple[Tensor, Tensor]] = []

    def only_the_chosen(_: Tensor, scores: Tensor) -> Tensor:
        chosen.append(choose(scores, numbers[:, len(chosen)].to(device), draw))
        return torch.full_like(scores, -torch.inf).scatter_(-1, chosen[-1][0][:, None], 0.0)

    with _alone(model, plain):
        model.generate(
            input_ids=ids,
            attention_mask=present.long(),
            generation_config=plain,
            logits_processor=LogitsProcessorList([only_the_chosen]),
        )
    tokens, log_probs = zip(*chosen, strict=True)
    return torch.stack(tokens, 1), torch.stack(log_probs, 1)


@contextmanager
def _alone(model: Any, plain: Any) -> Iterator[None]:
    """Let `plain` be all that decides.

    `generate` fills what a configuration leaves open from the model's own, and Qwen2.5-Instruct ships a repetition
    penalty and a top-p there, which would sample from another distribution than the one that is trained.
    """
    own = model.generation_config
    model.generation_config = plain
    try:
        yield
    finally:
        model.generation_config = own
