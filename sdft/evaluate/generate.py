"""Batched decoding that returns the same text for a prompt whatever the order of the prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sdft.common.imports import quick_imports

with quick_imports():
    import torch
    from transformers import DynamicCache


@dataclass(frozen=True)
class Completion:
    """Token ids without the end token, and whether the model ended the text itself."""

    tokens: list[int]
    finished: bool


def end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """Ids that end a response: the tokenizer's end of sequence and those of the model's generation config."""
    config = getattr(model, "generation_config", None)
    listed = getattr(config, "eos_token_id", None)
    listed = listed if isinstance(listed, list) else [listed]
    return {token for token in (tokenizer.eos_token_id, *listed) if token is not None}


def context_length(model: Any) -> int | None:
    """Positions the model was made for, or None when its config does not say."""
    return getattr(model.config, "max_position_embeddings", None)


@torch.inference_mode()
def generate(
    model: Any,
    prompts: list[list[int]],
    *,
    end: set[int],
    max_new_tokens: int,
    batch_size: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    advance: Callable[[int], Any] | None = None,
) -> list[Completion]:
    """Decode one completion for each prompt: greedy at temperature 0, else nucleus sampling.

    Only the arguments decide; the model's own generation config (penalties, sampling) is not applied. Prompts are
    batched in order of length and content, so neither their order nor their neighbours in the list matter. A
    completion ends at an `end` token, after `max_new_tokens`, or where the model's context is full. `advance` is called
    with the number of prompts done.
    """
    order = sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), prompts[index]))
    found: list[Completion | None] = [None] * len(prompts)
    generator = torch.Generator(device=model.device).manual_seed(seed) if temperature > 0 else None
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = [prompts[index] for index in chosen]
        completions = _decode_batch(model, batch, end, max_new_tokens, temperature, top_p, generator)
        for index, completion in zip(chosen, completions, strict=True):
            found[index] = completion
        if advance:
            advance(len(chosen))
    return found


def _decode_batch(
    model: Any,
    prompts: list[list[int]],
    end: set[int],
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    generator: torch.Generator | None,
) -> list[Completion]:
    width, context = max(map(len, prompts)), context_length(model)
    limits = [min(max_new_tokens, (context or width + max_new_tokens) - len(prompt)) for prompt in prompts]
    tokens = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros(len(prompts), width + max_new_tokens, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        tokens[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    tokens, mask = tokens.to(model.device), mask.to(model.device)
    positions = (mask[:, :width].cumsum(-1) - 1).clamp(min=0)

    written: list[list[int]] = [[] for _ in prompts]
    finished = [False] * len(prompts)
    alive = list(range(len(prompts)))
    cache = DynamicCache(config=model.config)
    for step in range(max(limits)):
        logits = model(
            input_ids=tokens,
            attention_mask=mask[:, : width + step],
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        chosen = _choose(logits, temperature, top_p, generator)
        kept = []
        for place, (row, token) in enumerate(zip(alive, chosen.tolist(), strict=True)):
            if finished[row] or len(written[row]) >= limits[row]:
                continue
            if token in end:
                finished[row] = True
                continue
            written[row].append(token)
            if len(written[row]) < limits[row]:
                kept.append(place)
        if not kept:
            break
        tokens, positions = chosen[:, None], positions[:, -1:] + 1
        # Rows that have ended cost as much as the others, so they are dropped once they are the majority.
        if len(kept) <= len(alive) // 2:
            rows = torch.tensor(kept, device=model.device)
            cache.batch_select_indices(rows)
            tokens, positions, mask = tokens[rows], positions[rows], mask[rows]
            alive = [alive[place] for place in kept]
    return [Completion(ids, done) for ids, done in zip(written, finished, strict=True)]


def _choose(logits: torch.Tensor, temperature: float, top_p: float, generator: torch.Generator | None) -> torch.Tensor:
    if temperature == 0:
        return logits.argmax(-1)
    probabilities = torch.softmax(logits.float() / temperature, -1)
    if top_p < 1:
        ordered, index = probabilities.sort(-1, descending=True)
        ordered = ordered.masked_fill(ordered.cumsum(-1) - ordered >= top_p, 0.0)
        probabilities = torch.zeros_like(probabilities).scatter(-1, index, ordered)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]
