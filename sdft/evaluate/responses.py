"""What a model answers: prompts through the chat template, decoding, and each response with its lengths.

Nothing here knows a task or a right answer, so a changed scorer leaves kept responses as good as they were.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Literal

from tqdm import tqdm

from sdft.common.errors import SdftError
from sdft.common.files import digest
from sdft.evaluate.generate import context_length, end_tokens, generate
from sdft.records import thinking
from sdft.records.prompts import render
from sdft.records.record import Record


@dataclass(frozen=True)
class Decoding:
    """How responses are drawn. Accuracy in the paper is greedy: temperature 0 (section 4).

    max_new_tokens, max_prompt_tokens: tokens; max_prompt_tokens None means the model's context. overlong says what
    becomes of a longer prompt: "error", or "truncate_left" as the authors' vLLM settings do; never in silence.
    """

    max_new_tokens: int = 2048
    batch_size: int = 16
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    max_prompt_tokens: int | None = None
    overlong: Literal["error", "truncate_left"] = "truncate_left"


@dataclass(frozen=True)
class Response:
    """One response to a record.

    response: its text, with the thinking; prompt_tokens: length of the prompt before it was cut; new_tokens: length of
    the response; finished: whether it ended by itself; cut: whether its prompt was cut from the left.
    """

    id: str
    response: str
    prompt_tokens: int
    new_tokens: int
    finished: bool
    cut: bool


def questions_digest(records: list[Record]) -> str:
    """Digest of what the records ask: their names and prompts, in their order."""
    return digest([[record.id, record.prompt] for record in records], 16)


def respond(
    model: Any, tokenizer: Any, task: str, records: list[Record], decoding: Decoding | None = None
) -> list[Response]:
    """A loaded model's responses to the records, in their order.

    The model's training mode is restored. Raises SdftError when a prompt does not fit.
    """
    decoding = decoding or Decoding()
    opened = thinking.opening(tokenizer)
    prompts = [render(tokenizer, record.prompt) for record in records]
    lengths = [len(prompt) for prompt in prompts]
    prompts, over = fit(task, records, prompts, decoding, context_length(model))
    if cut := sum(over):
        print(f"{task}: {cut} of {len(prompts)} prompts are too long and are cut from the left", file=sys.stderr)
    training = model.training
    model.eval()
    try:
        with tqdm(total=len(prompts), desc=task, unit="prompt") as bar:
            completions = generate(
                model,
                prompts,
                end=end_tokens(model, tokenizer),
                max_new_tokens=decoding.max_new_tokens,
                batch_size=decoding.batch_size,
                temperature=decoding.temperature,
                top_p=decoding.top_p,
                seed=decoding.seed,
                advance=bar.update,
            )
    finally:
        model.train(training)
    return [
        Response(
            record.id,
            opened + tokenizer.decode(completion.tokens, skip_special_tokens=True),
            length,
            len(completion.tokens),
            completion.finished,
            shortened,
        )
        for record, length, completion, shortened in zip(records, lengths, completions, over, strict=True)
    ]


def fit(
    task: str, records: list[Record], prompts: list[list[int]], decoding: Decoding, context: int | None
) -> tuple[list[list[int]], list[bool]]:
    """The prompts, shortened from the left where that is asked for, and which were.

    A prompt fits a model of `context` positions that has one left for a response; one that does not is cut so far that
    the longest response has room. Raises SdftError naming the first record that is too long where nothing is cut.
    """
    limits = [limit for limit in (decoding.max_prompt_tokens, context and context - 1) if limit]
    if not limits:
        return prompts, [False] * len(prompts)
    limit = min(limits)
    over = [index for index, prompt in enumerate(prompts) if len(prompt) > limit]
    if over and decoding.overlong == "error":
        record, length = records[over[0]], len(prompts[over[0]])
        raise SdftError(
            f"{task}: the prompt of record {record.id!r} has {length} tokens and {limit} fit (the model's context is "
            f"{context} and the prompt limit is {decoding.max_prompt_tokens}; {len(over)} of {len(prompts)} prompts "
            "are too long). Use a model with a longer context, drop the record, or cut such prompts from the left "
            "with --overlong truncate_left."
        )
    room = context - decoding.max_new_tokens if context else limit
    kept = min(limit, room) if room > 0 else limit
    longer = [len(prompt) > limit for prompt in prompts]
    return [prompt[-kept:] if cut else prompt for prompt, cut in zip(prompts, longer, strict=True)], longer
