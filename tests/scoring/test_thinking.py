"""What a model thinks is not its answer, wherever the opening tag stands."""

from __future__ import annotations

import pytest

from sdft.records import thinking


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("It is gout.", "It is gout."),
        ("<think>Gout? No, a cold.</think>\n\nA cold.", "A cold."),
        # A prompt that holds the opening tag leaves the closing one alone.
        ("Gout? No, a cold.</think>A cold.", "A cold."),
        ("<think>a</think>b<think>c</think> d ", "d"),
        ("<think>It must be gout", ""),
        ("<think>It is gout.</think>", ""),
        # A tag that is spoken of is no thinking.
        ("Write <think> first.", "Write <think> first."),
        ("  a  ", "  a  "),
        ("", ""),
    ],
)
def test_the_answer_is_what_stands_after_the_thinking(response, answer):
    assert thinking.answer(response) == answer


def test_an_answer_without_thinking_is_found_again():
    assert thinking.answer(thinking.OPEN + thinking.closed("It is gout.")) == "It is gout."
