"""Questions and answers about an article, written by a model, and what of them is kept.

The paper's GPT-5 wrote about 100 pairs an article, and duplicates were removed by hand; its prompts are not published.
The wording here is ours, and duplicates are found by a library.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdft.common.endpoint import Endpoint
from sdft.common.errors import SdftError
from sdft.data.knowledge.articles import windows
from sdft.data.schema import TaskArticles

DIRECT = """You write questions for a test of knowledge about recent events. You are given a part of an encyclopedia
article, and write questions that this part answers.

Each question asks for one fact or a few that belong together, names the event, place or person it is about, so that it
can be understood by somebody who does not have the article, and has one right answer. Each answer is a full sentence or
two, holds every detail that was asked for, and says nothing that is not in the part. Cover the whole part, its numbers,
names, dates, causes and consequences; no two questions ask for the same thing."""
INDIRECT = """You write questions for a test of knowledge about recent events. You are given a part of an encyclopedia
article, and write questions that only somebody who knows what it says can answer, but that do not ask for it directly.

Each question starts from something else: a comparison, a consequence, a region, a rule of the thumb, a list or a plan
for which the facts of this part are needed. It does not name the event, can be understood by somebody who does not have
the article, and has one right answer. Each answer is a full sentence or two that rests on the facts of this part. No
two questions need the same fact."""
INSTRUCTIONS = {"direct": DIRECT, "ood": INDIRECT}
FORM = 'Reply with JSON and nothing else: a list of {count} objects {{"question": "...", "answer": "..."}}.'
# A question that speaks of a text which its reader does not see.
SPEAKS_OF_TEXT = re.compile(r"\b(the|this|that) (article|passage|text|excerpt|section|part above|document)\b", re.I)
LONGEST = 1500


@dataclass(frozen=True)
class Pair:
    """A question with its answer."""

    question: str
    answer: str


@dataclass
class Written:
    """Pairs about one article that were kept, in the order they were written, and what was left out and why."""

    pairs: list[Pair] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def prompt(kind: str, title: str, part: str, count: int, known: Sequence[str] = ()) -> list[dict[str, str]]:
    """The writer's conversation about a part of an article. kind: "direct" or "ood"; known: questions not to repeat."""
    text = f"<article title={json.dumps(title, ensure_ascii=False)}>\n{part}\n</article>\n\n"
    if known:
        text += "These questions exist already:\n" + "\n".join(f"- {question}" for question in known) + "\n\n"
    text += f"Write {count} questions. {FORM.format(count=count)}"
    return [{"role": "system", "content": INSTRUCTIONS[kind]}, {"role": "user", "content": text}]


def parse_pairs(reply: str) -> list[dict[str, Any]] | None:
    """The list of objects that a reply is, its thinking and a code fence set aside; None when it is no such list.

    A list inside an object with one field counts, since some servers only write objects.
    """
    text = re.sub(r"(?s)\A.*</think>", "", reply).strip()
    text = re.sub(r"(?s)\A```\w*\s*\n(.*?)\n?```\Z", r"\1", text).strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    if not isinstance(value, list) or not any(isinstance(row, dict) for row in value):
        return None
    return [row for row in value if isinstance(row, dict)]


def fault(row: dict[str, Any]) -> str | None:
    """Why an object is no usable pair; None when it is one."""
    question, answer = row.get("question"), row.get("answer")
    if not isinstance(question, str) or not isinstance(answer, str) or not question.strip() or not answer.strip():
        return "no question or answer"
    if len(question) > LONGEST or len(answer) > LONGEST:
        return "too long"
    if SPEAKS_OF_TEXT.search(question):
        return "speaks of a text"
    if not re.search(r"\w", answer):
        return "no question or answer"
    return None


class Distinct:
    """Pairs that have been kept, and whether another one repeats them.

    Two pairs are near-duplicates when their questions are `similarity` alike (0 to 100: rapidfuzz's token_sort_ratio,
    blind to case, punctuation and order) and so are their answers, or when their questions are the same: questions that
    differ in a name or number alone are alike and ask for different things.
    """

    def __init__(self, similarity: float) -> None:
        self.similarity = similarity
        self.questions: list[str] = []
        self.answers: list[str] = []

    def add(self, pair: Pair) -> bool:
        """Keep the pair unless it repeats a kept one; whether it was kept."""
        from rapidfuzz import fuzz, process, utils

        question, answer = utils.default_process(pair.question), utils.default_process(pair.answer)
        alike = process.extract_iter(
            question, self.questions, scorer=fuzz.token_sort_ratio, score_cutoff=self.similarity
        )
        for other, score, place in alike:
            same = score == 100 or other == question
            if same or fuzz.token_sort_ratio(answer, self.answers[place]) >= self.similarity:
                return False
        self.questions.append(question)
        self.answers.append(answer)
        return True


def write_pairs(
    endpoint: Endpoint, kind: str, title: str, text: str, wanted: int, spec: TaskArticles, distinct: Distinct
) -> Written:
    """`wanted` distinct pairs about an article, asked for part by part, in rounds until there are enough.

    A later round names the questions that were kept of its part. Each prompt follows from the replies before it, so
    that repeating the command asks for nothing that was answered. Raises SdftError when the rounds are not enough.
    """
    parts = windows(text, spec.window_characters)
    kept: list[list[Pair]] = [[] for _ in parts]
    written = Written()
    for draw in range(spec.rounds):
        missing = wanted - sum(map(len, kept))
        if missing <= 0:
            break
        counts = _shares(missing, [len(part) for part in parts])
        asked = [number for number, count in enumerate(counts) if count]
        conversations = [
            prompt(kind, title, parts[number], counts[number], [pair.question for pair in kept[number]])
            for number in asked
        ]
        replies = endpoint.ask_all(conversations, parse_pairs, draw=draw, keep_all=True)
        for number, (_, rows) in zip(asked, replies, strict=True):
            if rows is None:
                written.left_out["unreadable reply"] += 1
            for row in rows or ():
                reason = fault(row)
                if reason is None:
                    pair = Pair(row["question"].strip(), row["answer"].strip())
                    if distinct.add(pair):
                        kept[number].append(pair)
                        continue
                    reason = "near-duplicate"
                written.left_out[reason] += 1
    written.pairs = list(_in_turn(kept))[:wanted]
    if len(written.pairs) < wanted:
        reasons = ", ".join(f"{count} {reason}" for reason, count in written.left_out.most_common()) or "none left out"
        raise SdftError(
            f"the writer {endpoint.model} gave {len(written.pairs)} usable {kind} questions about {title!r} in "
            f"{spec.rounds} rounds, and {wanted} are wanted ({reasons}). Use a stronger model or more rounds, or lower "
            "data.tasks.knowledge's train, test or ood in config.yaml."
        )
    return written


def _shares(total: int, sizes: Sequence[int]) -> list[int]:
    """`total` and a tenth more, at least one, shared out in proportion to the sizes and rounded up."""
    total += max(1, total // 10)
    return [-(-total * size // sum(sizes)) for size in sizes]


def _in_turn(groups: Sequence[Sequence[Pair]]) -> Iterable[Pair]:
    """The groups' pairs, one of each group in turn, so that a cut leaves all parts of an article covered."""
    for place in range(max(map(len, groups), default=0)):
        for group in groups:
            if place < len(group):
                yield group[place]
