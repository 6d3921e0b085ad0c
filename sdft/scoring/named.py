"""Scorers by name, for tasks of one's own: each compares a response with the gold answer of its record.

exact_match   the response is the answer
contains      the answer stands in the response
choice        the response chooses the letter that is the answer
react         the response makes the tool calls that are the answer

Each returns 1.0 for a right response and 0.0 for a wrong one, and raises SdftError naming the record whose answer it
cannot compare with.
"""

from __future__ import annotations

import re
from typing import Any

from sdft.common.errors import SdftError
from sdft.records.record import Record
from sdft.scoring import medical, tooluse

TAGGED = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.S | re.I)
TOLD = re.compile(r"\banswer\s*(?:is\b|:)[:\s]*", re.I)
# A letter alone: a punctuation mark, the end of the line or nothing follows it.
LETTER = re.compile(r"[\W_]*([A-Za-z])(?=[ \t]*(?:[^\w\s'\u2019]|_|\n|\Z))")


def exact_match(response: str, record: Record) -> float:
    """Whether the response equals the answer, white space at both ends and the case of letters apart.

    The answer is a text or a number, or a list of those of which any is right.
    """
    said = response.strip().casefold()
    return float(any(said == answer.strip().casefold() for answer in _texts(record)))


def contains(response: str, record: Record) -> float:
    """Whether the words of the answer stand together in the response; case, accents and punctuation do not count.

    The answer is a text or a number, or a list of those of which any is right. An answer that is quoted in order to be
    rejected counts as well (sdft/scoring/medical.py).
    """
    return float(any(medical.score(response, answer) for answer in _texts(record)))


def choice(response: str, record: Record) -> float:
    """Whether the response chooses the letter that is the answer.

    The choice is the letter with which the text between the last <answer> tags begins, else the text after the last
    "answer is" or "answer:", else the response itself: "B", "(B)", "b) iron" and "**B**: iron" choose B, "A metal" and
    "Because ..." choose nothing.
    """
    gold = record.answer
    if not isinstance(gold, str) or not re.fullmatch("[A-Za-z]", gold.strip()):
        raise _unfit(record, "one letter")
    return float(_chosen(response) == gold.strip().upper())


def react(response: str, record: Record) -> float:
    """Whether the response makes the calls of the answer, in their order, each with exactly its arguments.

    The answer is a list of {"Action": name, "Action_Input": object or its JSON text}; the response names each call in
    lines `Action: name` and `Action Input: {...}` (the rule "strict" of sdft/scoring/tooluse.py).
    """
    calls = record.answer if isinstance(record.answer, list) else [None]
    for call in calls:
        if not isinstance(call, dict) or not isinstance(call.get("Action"), str):
            raise _unfit(record, 'a list of {"Action": name, "Action_Input": object}')
        if not isinstance(call.get("Action_Input"), str | dict):
            raise _unfit(record, 'a list of {"Action": name, "Action_Input": object}')
    return float(tooluse.score(response, calls, rule="strict"))


def _texts(record: Record) -> list[str]:
    answers: list[Any] = record.answer if isinstance(record.answer, list) else [record.answer]
    if not answers or not all(isinstance(answer, str | int | float) for answer in answers):
        raise _unfit(record, "a text, a number or a list of those")
    return [str(answer) for answer in answers]


def _chosen(response: str) -> str | None:
    """The letter that a response chooses, in upper case; None where it chooses none."""
    tagged = TAGGED.findall(response)
    text = tagged[-1] if tagged else TOLD.split(response)[-1]
    letter = LETTER.match(text)
    return letter[1].upper() if letter else None


def _unfit(record: Record, form: str) -> SdftError:
    return SdftError(
        f"the answer of record {record.id!r} is {record.answer!r:.60}, and the scorer needs {form}; mend the answer in "
        "the data, or give the task another scorer."
    )
