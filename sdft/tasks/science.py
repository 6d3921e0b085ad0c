"""The authors' science files (SciKnowEval, chemistry, level L3, multiple choice) as Records."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import Any

from sdft.records.readers import field, messages, read_rows, refuse
from sdft.records.record import Record
from sdft.scoring import science as scoring
from sdft.tasks.base import Task

LETTERS = ("A", "B", "C", "D")
METALS = ("tin", "zinc", "iron", "lead", "gold", "copper", "nickel", "silver")


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


def invent(number: int, split: str, chance: Random) -> dict[str, Any]:
    """A made-up question about a label."""
    options = chance.sample(METALS, 4)
    right = chance.randrange(4)
    system = (
        "Choose the right option. Write your reasoning between <reasoning> and </reasoning>, then only the letter "
        "between <answer> and </answer>."
    )
    lines = [f"{letter}: {option}" for letter, option in zip(LETTERS, options, strict=True)]
    question = f"Which metal is in sample {number}, labelled {options[right]}?\n\n" + "\n".join(lines)
    prompt = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    if split == "train":
        answer = f"<reasoning>\nThe label says {options[right]}.\n</reasoning>\n<answer>\n{LETTERS[right]}\n</answer>"
        return {"messages": prompt, "output_text": answer}
    return {"prompt": prompt, "answer": LETTERS[right]}


TASK = Task(
    title="Science Q&A",
    look=("#e69f00", "s", "--"),
    load=load,
    score=score,
    invent=invent,
)
