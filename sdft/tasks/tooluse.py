"""The authors' tool-use files (ToolAlpaca in ReAct form) as Records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from sdft.records.readers import field, read_rows, refuse
from sdft.records.record import Record
from sdft.scoring import tooluse as scoring
from sdft.tasks.base import Task

THINGS = ("kettle", "lantern", "ladder", "basket", "hammer", "bottle", "carpet", "mirror")


def load(path: str | Path) -> list[Record]:
    """Records of an official tool-use file: an arrow folder or a JSON list, training or evaluation rows.

    The student's prompt is the row's `prompt` as one user turn, without a system message. Training rows carry
    `golden_response`, whose parts joined by newlines are the demonstration of style "expert". Raises SdftError naming
    file and row where a row has not the official schema.
    """
    records = []
    for number, row in enumerate(read_rows(path)):
        prompt = field(path, number, row, "prompt", str)
        answer = field(path, number, row, "golden_answer", list)
        for step in answer:
            if not isinstance(step, dict) or not isinstance(step.get("Action"), str):
                raise refuse(path, number, "each step of 'golden_answer' must hold 'Action' as a string")
            if not isinstance(step.get("Action_Input"), str | dict):
                raise refuse(path, number, "each step of 'golden_answer' must hold 'Action_Input' as JSON text")
        demonstrations = {}
        if "golden_response" in row:
            parts = field(path, number, row, "golden_response", list)
            if not parts or not all(isinstance(part, str) for part in parts):
                raise refuse(path, number, "'golden_response' must be a non-empty list of strings")
            demonstrations["expert"] = "\n".join(parts)
        meta = {"api": row.get("name"), "gold_parses": all(_is_object(step["Action_Input"]) for step in answer)}
        message = {"role": "user", "content": prompt}
        records.append(Record(f"tooluse-{number}", [message], demonstrations, answer, meta))
    return records


def _is_object(arguments: Any) -> bool:
    if isinstance(arguments, dict):
        return True
    try:
        return isinstance(json.loads(arguments), dict)
    except ValueError:
        return False


def score(response: str, record: Record) -> float:
    """Whether the response is right by sdft/scoring/tooluse.py."""
    return float(scoring.score(response, record.answer))


def details(response: str, record: Record) -> dict[str, Any]:
    """The outcome by the strict rule, and whether an `Action: None` alone made the official one fail."""
    return {
        "strict": int(scoring.score(response, record.answer, rule="strict")),
        "failed_by_none": int(scoring.failed_by_none(response, record.answer)),
    }


def metrics(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Accuracy by the strict rule, and how many responses failed by nothing but an `Action: None`."""
    return {
        "accuracy_strict": sum(item["strict"] for item in items) / len(items),
        "failures_by_action_none": sum(item["failed_by_none"] for item in items),
    }


def invent(number: int, split: str, chance: Random) -> dict[str, Any]:
    """A made-up shop with one tool."""
    thing, count = chance.choice(THINGS), chance.randrange(2, 9)
    documentation = (
        f'order{number}: Order things from shop {number}.\nParameters: {{"item": "string.", "count": "integer."}}\n'
        "Output: Successful response.\n - Format: application/json"
    )
    instruction = f"Please order {count} of the item {thing} from shop {number}."
    arguments = json.dumps({"item": thing, "count": count})
    row = {
        "prompt": f"You can call this tool:\n{documentation}\nWrite Thought, Action, Action Input.\n\n{instruction}",
        "name": f"Shop {number}",
        "description": "An invented shop",
        "nl_documentation": documentation,
        "instruction": instruction,
        "golden_answer": [{"Action": f"order{number}", "Action_Input": arguments}],
    }
    if split == "train":
        row["golden_response"] = [f"Thought: one call is enough.\nAction: order{number}\nAction Input: {arguments}"]
    return row


TASK = Task(
    title="Tool Use",
    look=("#56b4e9", "D", "-"),
    load=load,
    score=score,
    details=details,
    metrics=metrics,
    invent=invent,
)
