"""Batched decoding that returns the same text for a prompt whatever the order of the prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sdft.common.imports import quick_imports

with quick_imports():
    from sdft.decoding import Draw, decode, uniforms
    from sdft.decoding.sampling import row_seeds


# Tokens of prompts that go through a model at once: with those of whole articles a batch of 32 would fill any GPU.
BATCH_TOKENS = 65_536


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


def rows_at_once(most: int, longest: int) -> int:
    """Prompts that go through a model together: at most `most`, and BATCH_TOKENS in all; at least one."""
    return max(1, min(most, BATCH_TOKENS // max(1, longest)))


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
    taken in order of length and content, at most `batch_size` at a time, and a prompt's random numbers belong to its
    content and how often it came before, so neither their order nor their neighbours in the list matter. A completion
    ends at an `end` token, after `max_new_tokens`, or where the model's context is full. `advance` is told how many are
    done.
    """
    if not prompts:
        return []
    order = sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), prompts[index]))
    batch = [prompts[index] for index in order]
    context = context_length(model)
    limits = [min(max_new_tokens, context - len(prompt)) if context else max_new_tokens for prompt in batch]
    found = decode(
        model,
        batch,
        stop=sorted(end),
        limits=limits,
        draw=Draw(temperature, top_p),
        numbers=uniforms(row_seeds(seed, _names(batch)), max(limits)) if temperature > 0 else None,
        slots=rows_at_once(batch_size, max(map(len, batch))),
        advance=advance,
    )
    rows = zip(found.tokens.tolist(), found.lengths.tolist(), found.ended.tolist(), strict=True)
    completions = [Completion(tokens[: length - ended], ended) for tokens, length, ended in rows]
    return [completion for _, completion in sorted(zip(order, completions, strict=True), key=lambda pair: pair[0])]


def _names(prompts: list[list[int]]) -> list[tuple[str, int]]:
    """What each prompt says, and how often it came before."""
    texts, before = [str(prompt) for prompt in prompts], Counter()
    names = []
    for text in texts:
        names.append((text, before[text]))
        before[text] += 1
    return names
