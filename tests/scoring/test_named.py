"""The named scorers do what their one sentence says, and refuse an answer that they cannot compare with."""

from __future__ import annotations

import pytest

from sdft.common.errors import SdftError
from sdft.records.record import Record
from sdft.scoring import named

CALLS = [{"Action": "find", "Action_Input": '{"line": 7}'}, {"Action": "book", "Action_Input": {"seat": 1}}]
SAID = 'Thought: x\nAction: find\nAction Input: {"line": 7}\nAction: book\nAction Input: {"seat": 1}'


def record(answer):
    return Record("r1", [{"role": "user", "content": "?"}], answer=answer)


@pytest.mark.parametrize(
    ("scorer", "answer", "right", "wrong"),
    [
        (named.exact_match, "Paris", ["Paris", " paris\n"], ["Paris.", "in Paris", ""]),
        (named.exact_match, ["7", 8], ["7", "8"], ["78"]),
        (named.contains, "São Paulo", ["It is sao paulo.", "SÃO  PAULO"], ["Sao", "São Paulos"]),
        (named.contains, ["gout", "podagra"], ["Podagra, then"], ["gouty"]),
        (
            named.choice,
            "B",
            [
                "B",
                "(B)",
                "b) iron",
                "**B**: iron",
                "B\nsince ...",
                "<answer>A</answer> no: <answer>\nB\n</answer>",
                "A is wrong. The answer is B.",
                "answer: A? Answer: (b)",
            ],
            ["A", "Because", "A metal", "", "C. Not B", "The answer is A, not B", "<answer>A</answer> B", "Bb"],
        ),
        (named.react, CALLS, [SAID], ["", SAID.replace("7", "8"), "Action: find\nAction Input: {}"]),
        (named.react, [], ["No call is needed."], [SAID]),
    ],
)
def test_right_and_wrong_responses_are_told_apart(scorer, answer, right, wrong):
    assert [scorer(text, record(answer)) for text in right] == [1.0] * len(right)
    assert [scorer(text, record(answer)) for text in wrong] == [0.0] * len(wrong)


@pytest.mark.parametrize(
    ("scorer", "answer"),
    [
        (named.exact_match, {"a": 1}),
        (named.contains, []),
        (named.choice, "AB"),
        (named.choice, 2),
        (named.react, "find"),
        (named.react, [{"Action": "find"}]),
    ],
)
def test_an_answer_of_another_form_is_refused_by_the_record_s_name(scorer, answer):
    with pytest.raises(SdftError, match="record 'r1'.*needs"):
        scorer("x", record(answer))
