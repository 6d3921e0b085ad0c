"""A few test questions with every model's answer, those first on which the models differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sdft.comparison.rows import TASK
from sdft.evaluate.judge import read_responses
from sdft.records.record import read_records

SHOWN = 6
# What a page shows of a text, in letters.
LONGEST = 1200


def answered(found: dict[str, Any], out: Path) -> list[dict[str, Any]]:
    """{"id", "question", "answer", "answers": [model, right or not, text]} of at most SHOWN test rows."""
    records = {record.id: record for record in read_records(out / "data" / TASK / "test.jsonl")}
    models = {}
    for row in found["models"]:
        items = read_responses(Path(row["scores"][0]) / "responses.jsonl.gz")
        models[row["title"]] = {item["id"]: item for item in items if item["benchmark"] == TASK}

    def spread(name: str) -> int:
        return len({items[name]["correct"] for items in models.values()})

    names = sorted(records, key=lambda name: -spread(name))[:SHOWN]
    return [
        {
            "id": name,
            "question": records[name].prompt[-1]["content"][:LONGEST],
            "answer": str(records[name].answer)[:LONGEST],
            "answers": [
                (title, items[name]["correct"] >= 0.5, items[name]["response"][:LONGEST])
                for title, items in models.items()
            ],
        }
        for name in names
    ]
