"""The authors' tool-use files (ToolAlpaca in ReAct form) as Records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sdft.records.readers import field, read_rows, refuse
from sdft.records.record import Record
from sdft.scoring import tooluse as scoring
from sdft.tasks.base import Task


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


TASK = Task(
    title="Tool Use",
    look=("#56b4e9", "D", "-"),
    load=load,
    score=score,
)
