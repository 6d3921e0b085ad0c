"""Medical files of question-and-answer rows, in the form of the public HuatuoGPT-o1 release, as Records."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from sdft.records.readers import field, read_rows
from sdft.records.record import Record
from sdft.scoring import medical as scoring
from sdft.tasks.base import Rubric, Task

QUESTIONS = ("Open-ended Verifiable Question", "Question", "question")
ANSWERS = ("Ground-True Answer", "Ground-True Answer ", "answer")
RUBRIC = Rubric(
    labels=("CORRECT", "INCORRECT"),
    instructions="""You check answers to medical questions against a reference answer.

Give the label CORRECT when the answer to check says what the reference says: the same diagnosis, drug, mechanism or
finding, in whatever words. More detail is fine as long as it is right. Give the label INCORRECT when the essential
point is missing, is left open between several possibilities, or is contradicted.

Only the medical content counts; style, length and language do not.""",
)
ORGANS = ("liver", "heart", "kidney", "spleen", "lung", "stomach", "skin", "eye")


def load(path: str | Path) -> list[Record]:
    """Records of a HuatuoGPT-o1 file: verifiable problems (question, short answer) or supervised rows.

    `Response` is the demonstration of style "expert". It was written after the chain of thought `Complex_CoT` and holds
    nothing of it, so it is the answer alone as well (style "answer"). The record's answer is the short reference where
    the row has one, else the response itself. Raises SdftError naming file and row for any other schema.
    """
    records = []
    for number, row in enumerate(read_rows(path)):
        question = field(path, number, row, next((name for name in QUESTIONS if name in row), QUESTIONS[0]), str)
        answer_name = next((name for name in ANSWERS if name in row), "Response")
        answer = field(path, number, row, answer_name, str)
        demonstrations = {}
        if "Response" in row:
            demonstrations = dict.fromkeys(("expert", "answer"), field(path, number, row, "Response", str))
        records.append(Record(f"medical-{number}", [{"role": "user", "content": question}], demonstrations, answer))
    return records


def score(response: str, record: Record) -> float:
    """Whether the response is right by sdft/scoring/medical.py."""
    return float(scoring.score(response, record.answer))


def invent(number: int, split: str, chance: Random) -> dict[str, Any]:
    """A made-up case."""
    organ = chance.choice(ORGANS)
    question = f"Invented case {number}: the note says the trouble is in the {organ}. Which organ is concerned?"
    if split == "train":
        return {"Question": question, "Complex_CoT": f"The note names the {organ}.", "Response": f"It is the {organ}."}
    return {"Open-ended Verifiable Question": question, "Ground-True Answer": organ}


TASK = Task(
    title="Medical",
    look=("#009e73", "^", "-."),
    load=load,
    styles=("expert", "answer"),
    score=score,
    rubric=RUBRIC,
    invent=invent,
)
