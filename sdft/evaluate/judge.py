"""`python -m sdft.evaluate.judge`: a language model decides which responses are right, where no rule can.

The paper asks GPT-5-mini (appendix B.3): medical answers are CORRECT or INCORRECT; answers about articles may also be
PARTIALLY_CORRECT. The wording of the question to the judge is ours, the labels are the paper's. Any OpenAI-compatible
endpoint will do. Every verdict is kept on disk, so that a judge which fails midway costs nothing twice.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import shutil
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sdft.common.command import read_spec
from sdft.common.endpoint import Endpoint
from sdft.common.errors import SdftError, run_main
from sdft.common.files import atomic_path, parse_json, read_json, rows_sha256, sha256_file, write_json
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.records import thinking
from sdft.records.record import Record, read_records
from sdft.study.schema import Judge
from sdft.tasks import find_task, results
from sdft.tasks.base import JUDGED_METRIC, Rubric

# What the judged scores keep of the offline ones: no verdict changes it.
KEPT = ("unfinished", "prompt_tokens", "new_tokens")
# The share of verdicts that may stay unreadable before the judge itself is refused.
UNREADABLE = 0.02


@dataclass(frozen=True)
class Response:
    """One response to judge, with its question and the reference answer."""

    id: str
    question: str
    reference: str
    text: str


def rubric(task: str) -> Rubric:
    """How a task is judged. Raises SdftError for a task that has no judge."""
    found = find_task(task).rubric
    if found is None:
        raise SdftError(f"there is no judge for the task {task!r}; give sdft/tasks/{task}.py a rubric.")
    return found


def prompt(task: str, response: Response) -> list[dict[str, str]]:
    """The judge's conversation about one response. Raises SdftError for a task that has no judge."""
    asked = rubric(task)
    text = (
        f"<question>\n{response.question}\n</question>\n\n<reference>\n{response.reference}\n</reference>\n\n"
        f"<answer_to_check>\n{response.text}\n</answer_to_check>\n\n"
        f"Reply with one label and nothing else: {', '.join(asked.labels)}."
    )
    return [{"role": "system", "content": asked.instructions}, {"role": "user", "content": text}]


def parse_label(text: str, labels: Sequence[str]) -> str | None:
    """The label that a reply is, or None.

    A reply is a label when it equals one after its thinking, its case, its outer punctuation and mark-up are set aside;
    blanks and hyphens count as underscores. A label inside a sentence, or inside another label, is none.
    """
    if not text:
        return None
    text = unicodedata.normalize("NFKC", re.sub(r"(?s)\A.*</think>", "", text)).upper()
    text = re.sub(r"\A[\W_]+|[\W_]+\Z", "", text)
    text = re.sub(r"[\s_-]+", "_", text)
    return text if text in labels else None


def kappa(first: Sequence[str | None], second: Sequence[str | None]) -> float | None:
    """Cohen's kappa of two judges' labels over the same items; None without items or where both give one label only.

    Cohen (1960): (observed - expected agreement) / (1 - expected agreement).
    """
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if not pairs:
        return None
    n = len(pairs)
    observed = sum(a == b for a, b in pairs) / n
    counts = [Counter(side) for side in zip(*pairs, strict=True)]
    expected = sum(counts[0][label] * counts[1][label] for label in counts[0]) / n**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def judge_all(task: str, responses: Sequence[Response], config: Judge) -> dict[str, list[dict[str, Any]]]:
    """Verdicts of each configured judge, by model, in the order of the responses.

    Raises SdftError for a task that has no judge, and when a judge fails for good, or gives too many replies that are
    no label.
    """
    found = {}
    for model in filter(None, (config.model, config.second_model)):
        endpoint = Endpoint(config, model, "judge")
        asked = [prompt(task, response) for response in responses]
        replies = endpoint.ask_all(asked, partial(parse_label, labels=rubric(task).labels))
        found[model] = [{"model": model, "label": label, "reply": reply} for reply, label in replies]
        unreadable = [verdict["reply"] for verdict in found[model] if verdict["label"] is None]
        if len(unreadable) > UNREADABLE * len(responses):
            raise SdftError(
                f"the judge {model} gave no label in {len(unreadable)} of {len(responses)} replies (one of them: "
                f"{unreadable[0][:80]!r}); use a stronger judge, or a larger judge.max_tokens if replies are cut."
            )
    return found


def match(benchmark: str, rows: Sequence[dict[str, Any]], records: Sequence[Record], where: Path) -> list[Response]:
    """The answers in `rows`, read from `where`, with question and reference from the benchmark's records."""
    known = {record.id: record for record in records}
    found = []
    for row in rows:
        record = known.get(row["id"])
        if record is None:
            raise SdftError(f"{where} answers {row['id']!r}, which the data do not hold; give the data it is of.")
        found.append(
            Response(record.id, record.prompt[-1]["content"], str(record.answer), thinking.answer(row["response"]))
        )
    if not found:
        raise SdftError(f"{where} holds no response to {benchmark}; evaluate the model on it first.")
    return found


def read_responses(path: str | Path) -> list[dict[str, Any]]:
    """Rows of a responses.jsonl.gz. Raises SdftError when it is missing or damaged."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as handle:
            rows = [parse_json(line) for line in handle]
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise SdftError(f"{path} cannot be read ({error}); evaluate the model again.") from None
    for number, row in enumerate(rows, start=1):
        texts = isinstance(row, dict) and all(
            isinstance(row.get(name), str) for name in ("benchmark", "id", "response")
        )
        if not texts or not isinstance(row.get("correct"), int | float):
            raise SdftError(f"{path}:{number}: this is no item's response and outcome; evaluate the model again.")
    return rows


def judged_scores(source: Path, data: dict[str, Path], config: Judge, out: Path) -> None:
    """Write to `out` the scores in `source`, with the judge's verdicts in the place of the offline ones.

    data: the records of each benchmark that is judged, by the name of its results ({task} or {task}_{split}). A rubric
    with lenient labels adds the outcome "lenient". Raises SdftError when the source lacks a benchmark.
    """
    rows = read_responses(source / "responses.jsonl.gz")
    made = {benchmark: _judge(benchmark, source, path, rows, config) for benchmark, path in data.items()}
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with atomic_path(out / "responses.jsonl.gz") as part:
        part.write_bytes(gzip.compress(lines.encode(), mtime=0))
    for path in source.glob("*.json"):
        if path.stem not in made:
            with atomic_path(out / path.name) as part:
                shutil.copyfile(path, part)
    for benchmark, score in made.items():
        write_json(out / f"{benchmark}.json", score)


def _judge(benchmark: str, source: Path, data: Path, rows: list[dict[str, Any]], config: Judge) -> dict[str, Any]:
    """The judged score of one benchmark; its verdicts are put into `rows`."""
    clock, task = Clock(), results()[benchmark][0]
    asked = rubric(task)
    own = [row for row in rows if row["benchmark"] == benchmark]
    responses = match(benchmark, own, read_records(data), source / "responses.jsonl.gz")
    verdicts = judge_all(task, responses, config)
    labels = {model: [verdict["label"] for verdict in found] for model, found in verdicts.items()}
    first = labels[config.model]
    offline = sum(row["correct"] for row in own)
    for place, (row, label) in enumerate(zip(own, first, strict=True)):
        row |= {
            "offline": row["correct"],
            "correct": int(label == asked.labels[0]),
            "verdicts": {model: found[place] for model, found in verdicts.items()},
        }
        if asked.lenient:
            row["lenient"] = int(label in asked.lenient)
    counts, n = Counter(first), len(responses)
    metrics = {
        JUDGED_METRIC: counts[asked.labels[0]] / n,
        "offline_accuracy": offline / n,
        "unreadable": counts[None],
        "labels": {str(label): counts[label] for label in (*asked.labels, None)},
        "judge": {"model": config.model, "second_model": config.second_model},
    }
    if asked.lenient:
        metrics |= {"strict": metrics[JUDGED_METRIC], "lenient": sum(counts[label] for label in asked.lenient) / n}
    offline_metrics = read_json(source / f"{benchmark}.json").get("metrics", {})
    metrics |= {name: offline_metrics[name] for name in KEPT if name in offline_metrics}
    if config.second_model:
        metrics["kappa"] = kappa(first, labels[config.second_model])
    inputs = {str(path): sha256_file(path) for path in (source / "responses.jsonl.gz", data)}
    return {
        "benchmark": benchmark,
        "n": n,
        "metric": JUDGED_METRIC,
        "value": metrics[JUDGED_METRIC],
        "metrics": metrics,
        "responses_sha256": rows_sha256(own),
        "manifest": manifest("judge", clock=clock, config=config.model_dump(), inputs=inputs),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.evaluate.judge",
        description="Judge one task's responses; write the scores folder again with the verdicts in it.",
        epilog="example: python -m sdft.evaluate.judge --task medical --scores S --data F --config J.json --out OUT",
    )
    add = parser.add_argument
    judged = sorted(name for name, (task, _) in results().items() if find_task(task).judged)
    add("--task", required=True, nargs="+", choices=judged, help="with {task}_{split}, another tested split of a task")
    add("--scores", required=True, metavar="DIR", help="what sdft.evaluate wrote: responses.jsonl.gz and scores")
    add("--data", required=True, nargs="+", metavar="PATH", help="records that were answered, a file a --task")
    add("--config", required=True, metavar="JSON", help="the scale's `judge` block of config.yaml, as text or a file")
    add("--out", required=True, metavar="DIR")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    if len(options.task) != len(options.data):
        raise SdftError(
            f"--task names {len(options.task)} and --data {len(options.data)}; give each task its file, in the same "
            "order."
        )
    config = read_spec(Judge, options.config, "--config")
    data = dict(zip(options.task, map(Path, options.data), strict=True))
    judged_scores(Path(options.scores), data, config, Path(options.out))


if __name__ == "__main__":
    run_main(main)
