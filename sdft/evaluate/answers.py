"""New-task accuracy: a model's responses, and the task's scorer."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from typing import Any

from sdft.evaluate.responses import Decoding, Response, respond
from sdft.evaluate.results import Result
from sdft.records import thinking
from sdft.records.record import Record
from sdft.tasks import find_task, score_record


def evaluate_tasks(
    model: Any, tokenizer: Any, records: dict[str, list[Record]], decoding: Decoding | None = None
) -> dict[str, Result]:
    """Accuracy of a loaded model on each task's records, by task; see `evaluate_task`."""
    return {task: evaluate_task(model, tokenizer, task, rows, decoding) for task, rows in records.items()}


def evaluate_task(
    model: Any, tokenizer: Any, task: str, records: list[Record], decoding: Decoding | None = None
) -> Result:
    """Accuracy of a loaded model on one task's records; see `respond` and `score`."""
    return score(task, records, respond(model, tokenizer, task, records, decoding))


def score(task: str, records: list[Record], responses: list[Response]) -> Result:
    """Accuracy of responses to the records, with an outcome for every record.

    The metrics also hold the task's further ones (Task.metrics), the prompts' lengths in tokens and how many were cut,
    the responses' lengths, and the share that did not end by itself. What a response says after its thinking is scored;
    its length includes the thinking.
    """
    own, items = find_task(task), []
    for record, response in zip(records, responses, strict=True):
        answer = thinking.answer(response.response)
        correct = _plain(score_record(task, answer, record))
        found = {"id": record.id, "correct": correct, **record.about}
        items.append({**found, **asdict(response), **own.details(answer, record)})
    metrics: dict[str, Any] = {"accuracy": _mean(item["correct"] for item in items), **own.metrics(items)}
    metrics["unfinished"] = _mean(not item["finished"] for item in items)
    lengths = [item["prompt_tokens"] for item in items]
    metrics["prompt_tokens"] = {**summary(lengths), "cut": sum(item["cut"] for item in items)}
    written = [item["new_tokens"] for item in items]
    # Table 2 reports the mean.
    metrics["new_tokens"] = {**summary(written), "mean": _mean(written)}
    return Result(task, "accuracy", metrics["accuracy"], metrics, items)


def summary(lengths: list[int]) -> dict[str, float]:
    """Median, 90th percentile (linear between neighbours) and maximum of a list of lengths."""
    tenths = statistics.quantiles(lengths, n=10, method="inclusive") if len(lengths) > 1 else lengths
    return {"median": statistics.median(lengths), "p90": round(tenths[-1], 1), "max": max(lengths)}


def _plain(score: float) -> int | float:
    """A score as 0 or 1 where it is one of these; a scorer of one's own may give a part of 1."""
    return int(score) if score in (0, 1) else score


def _mean(values: Any) -> float:
    values = list(values)
    return sum(values) / len(values)
