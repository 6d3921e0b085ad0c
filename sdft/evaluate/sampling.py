"""Several sampled responses to each question, block by block, so that a long measurement can be continued."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sdft.common.files import digest
from sdft.evaluate.generate import Completion, context_length, end_tokens, generate
from sdft.evaluate.responses import Decoding, fit
from sdft.records.prompts import render
from sdft.records.record import Record


def blocks(records: list[Record], samples: int, batch_size: int) -> Iterator[list[Record]]:
    """Consecutive records, as many as give `batch_size` responses with `samples` each, at least one."""
    size = max(1, batch_size // samples)
    for start in range(0, len(records), size):
        yield records[start : start + size]


def sample(
    model: Any, tokenizer: Any, task: str, records: list[Record], samples: int, decoding: Decoding
) -> tuple[list[list[int]], list[bool], list[list[Completion]]]:
    """The prompts of `records` as token ids, which of them were cut, and `samples` responses to each.

    A block's responses are decided by the seed and the block's own records, whatever was sampled before it. Raises
    SdftError when a prompt does not fit.
    """
    prompts = [render(tokenizer, record.prompt) for record in records]
    prompts, cut = fit(task, records, prompts, decoding, context_length(model))
    own = replace(decoding, seed=int(digest([decoding.seed, [record.id for record in records]], 15), 16))
    completions = generate(
        model,
        [prompt for prompt in prompts for _ in range(samples)],
        end=end_tokens(model, tokenizer),
        max_new_tokens=own.max_new_tokens,
        batch_size=own.batch_size,
        temperature=own.temperature,
        top_p=own.top_p,
        seed=own.seed,
    )
    return prompts, cut, [completions[start : start + samples] for start in range(0, len(completions), samples)]
