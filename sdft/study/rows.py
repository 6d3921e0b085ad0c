"""How many rows and sequences a run trains on, as far as the configuration and the files that are here say."""

from __future__ import annotations

from typing import Any

from sdft.data.fetch import local_path
from sdft.data.schema import OfficialData, Source, TaskArticles
from sdft.methods import find_method
from sdft.study.plan import Plan, RunSpec

# Length of an article of the paper on average: nine have about 200,000 tokens. Invented ones have a few lines.
ARTICLE_CHARACTERS = 90_000
INVENTED_CHARACTERS = 2_000


def rows(plan: Plan, task: str) -> int:
    """Training rows of a task."""
    data = plan.scale.data
    if data.origin(task) == "made":
        return data.sizes[task].train
    entry = data.tasks[task]
    if isinstance(entry, TaskArticles):
        count, drawn = len(entry.articles) * entry.train, True
    else:
        count, drawn = stated_rows(entry.train) or 24, entry.validation is None
    if drawn:
        count -= max(1, round(count * data.validation_fraction))
    return _limited(plan, count)


def stated_rows(source: Source) -> int | None:
    """Rows of a file: as the configuration says, or counted in a .jsonl file that is here; None where neither is."""
    path = local_path(source)
    if source.rows is not None or path is None or path.suffix != ".jsonl" or not path.is_file():
        return source.rows
    with path.open("rb") as lines:
        return sum(bool(line.strip()) for line in lines)


def method_rows(plan: Plan, task: str, method: str) -> int:
    """Rows that a method trains on: the task's, general prompts, or parts of articles."""
    count, data = rows(plan, task), plan.scale.data
    kind = find_method(method).rows
    if kind == "prompts":
        official = isinstance(data, OfficialData)
        count = data.general_prompts if not official else data.general.prompts if data.general else count
    if kind == "corpus":
        count = _corpus_rows(plan, task)
    return _limited(plan, count)


def _limited(plan: Plan, count: int) -> int:
    return min(count, getattr(plan.scale.data, "limit", None) or count)


def _corpus_rows(plan: Plan, task: str) -> int:
    """Raw texts of a task: parts of articles, whose lengths are known only when they are there."""
    data = plan.scale.data
    if data.origin(task) == "made":
        # The miniature world tells each fact's land in as many texts as a land has facts.
        return data.sizes[task].symbols or data.sizes[task].train
    entry = data.tasks[task]
    if isinstance(entry, TaskArticles):
        characters = INVENTED_CHARACTERS if data.absent == "invent" else ARTICLE_CHARACTERS
        return len(entry.articles) * -(-characters // entry.corpus_characters)
    corpus = entry.others.get("corpus")
    return (corpus and stated_rows(corpus)) or 24


def sequences(plan: Plan, run: RunSpec, values: Any) -> int:
    """Sequences that a run trains on: full batches an epoch, or all with drop_last off."""
    count = method_rows(plan, run.task, run.method)
    if run.settings.drop_last:
        count -= count % values.batch_size
    return count * values.epochs * run.settings.rollouts_per_prompt
