"""New-task accuracy: prompts through the chat template, decoding, and the task's scorer."""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass
from typing import Any, Literal

from tqdm import tqdm

from sdft.common.errors import SdftError
from sdft.evaluate.generate import context_length, end_tokens, generate
from sdft.evaluate.results import Result
from sdft.records import thinking
from sdft.records.prompts import render
from sdft.records.record import Record
from sdft.tasks import find_task, score_record


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


def evaluate_tasks(
    model: Any, tokenizer: Any, records: dict[str, list[Record]], decoding: Decoding | None = None
) -> dict[str, Result]:
    """Accuracy of a loaded model on each task's records, by task; see `evaluate_task`."""
    return {task: evaluate_task(model, tokenizer, task, rows, decoding) for task, rows in records.items()}


def evaluate_task(
    model: Any, tokenizer: Any, task: str, records: list[Record], decoding: Decoding | None = None
) -> Result:
    """Accuracy of a loaded model on one task's records, with an outcome for every record.

    The metrics also hold the task's further ones (Task.metrics), the prompts' lengths in tokens and how many were cut,
    the responses' lengths, and the share that did not end by itself. What a response says after its thinking is scored;
    its length includes the thinking. The model's training mode is restored. Raises SdftError when a prompt does not
    fit.
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

    own, items = find_task(task), []
    for record, length, completion in zip(records, lengths, completions, strict=True):
        response = opened + tokenizer.decode(completion.tokens, skip_special_tokens=True)
        answer = thinking.answer(response)
        outcome = {
            "id": record.id,
            "correct": int(score_record(task, answer, record)),
            "response": response,
            "prompt_tokens": length,
            "new_tokens": len(completion.tokens),
            "finished": completion.finished,
        }
        items.append(outcome | own.details(answer, record))

    metrics: dict[str, Any] = {"accuracy": _mean(item["correct"] for item in items), **own.metrics(items)}
    metrics["unfinished"] = _mean(not item["finished"] for item in items)
    metrics["prompt_tokens"] = {**summary(lengths), "cut": cut}
    written = [item["new_tokens"] for item in items]
    # Table 2 reports the mean.
    metrics["new_tokens"] = {**summary(written), "mean": _mean(written)}
    return Result(task, "accuracy", metrics["accuracy"], metrics, items)


def summary(lengths: list[int]) -> dict[str, float]:
    """Median, 90th percentile (linear between neighbours) and maximum of a list of lengths."""
    tenths = statistics.quantiles(lengths, n=10, method="inclusive") if len(lengths) > 1 else lengths
    return {"median": statistics.median(lengths), "p90": round(tenths[-1], 1), "max": max(lengths)}


def _mean(values: Any) -> float:
    values = list(values)
    return sum(values) / len(values)


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
