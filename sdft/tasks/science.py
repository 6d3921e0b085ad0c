"""The authors' science files (SciKnowEval, chemistry, level L3, multiple choice) as Records."""

from __future__ import annotations

import re
from pathlib import Path

from sdft.records.readers import field, messages, read_rows, refuse
from sdft.records.record import Record
from sdft.scoring import science as scoring
from sdft.tasks.base import Task

LETTERS = ("A", "B", "C", "D")


def load(path: str | Path) -> list[Record]:
    """Records of an official science file: evaluation rows (prompt, answer) or training rows (messages, output_text).

    Training rows hold no letter of their own: the gold answer is the one the demonstration ends in, and None when it
    ends in none. Raises SdftError naming file and row where a row has not the official schema.
    """
    records = []
    for number, row in enumerate(read_rows(path)):
        if "output_text" in row:
            prompt = messages(path, number, row, "messages")
            demonstration = field(path, number, row, "output_text", str)
            letter = re.search(r"<answer>\s*([A-D])\s*</answer>\s*\Z", demonstration)
            answer, demonstrations = letter and letter[1], {"expert": demonstration}
        else:
            prompt = messages(path, number, row, "prompt")
            answer, demonstrations = field(path, number, row, "answer", str), {}
            if answer not in LETTERS:
                raise refuse(path, number, f"the answer {answer!r} is none of A, B, C, D")
        records.append(Record(f"science-{number}", prompt, demonstrations, answer))
    return records


def score(response: str, record: Record) -> float:
    """Whether the response is right by sdft/scoring/science.py."""
    return float(scoring.score(response, record.answer))


TASK = Task(
    title="Science Q&A",
    look=("#e69f00", "s", "--"),
    load=load,
    score=score,
)
