"""Which answers training made right, and which it made wrong: two models' responses to the same items."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

# Kinds of a change, and how they are called.
CHANGES = {
    "learnt": "Wrong before, right after",
    "lost": "Right before, wrong after",
    "kept": "Right before and after",
    "missed": "Wrong before and after",
}
HALF = 0.5


@dataclass(frozen=True)
class Answer:
    """An item's responses before and after training, and whether each counts as right."""

    id: str
    before: bool
    after: bool
    said_before: str
    said_after: str

    @property
    def kind(self) -> str:
        """Which of CHANGES it is."""
        return {(False, True): "learnt", (True, False): "lost", (True, True): "kept"}.get(
            (self.before, self.after), "missed"
        )


def compare(before: Path, after: Path, benchmark: str) -> list[Answer]:
    """The answers to a benchmark's items in two folders of scores, by id; items that only one of them has are left out.

    An item that is scored in parts counts as right from one half on.
    """
    first, second = (_responses(folder).get(benchmark, {}) for folder in (before, after))
    return [
        Answer(name, first[name][0] >= HALF, second[name][0] >= HALF, first[name][1], second[name][1])
        for name in sorted(set(first) & set(second))
    ]


def changes(answers: Sequence[Answer]) -> Counter[str]:
    """How many answers are of each kind."""
    return Counter(answer.kind for answer in answers)


@lru_cache(maxsize=16)
def _responses(folder: Path) -> dict[str, dict[str, tuple[float, str]]]:
    path = folder / "responses.jsonl.gz"
    found: dict[str, dict[str, tuple[float, str]]] = {}
    if path.is_file():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                item = json.loads(line)
                own = found.setdefault(item["benchmark"], {})
                own[str(item["id"])] = (float(item["correct"]), str(item.get("response", "")))
    return found
