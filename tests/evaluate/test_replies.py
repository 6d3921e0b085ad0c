"""Replies of a long benchmark are kept while they come, so that a job which is stopped asks for the rest alone."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest

from sdft.evaluate.replies import KeptReplies, Unanswered
from sdft.evaluate.results import Result, State

REQUESTS = [SimpleNamespace(args=(f"question {number}", {})) for number in range(10)]
ANSWERS = [f"answer to question {number}" for number in range(10)]


class Model:
    """Answers until it is stopped."""

    def __init__(self, most=99):
        self.asked, self.most = [], most

    def generate_until(self, requests):
        if len(self.asked) + len(requests) > self.most:
            raise SystemExit(143)
        self.asked += requests
        return [f"answer to {request.args[0]}" for request in requests]


def test_a_stopped_benchmark_asks_for_what_it_has_not_been_told(tmp_path):
    state, kept, first = State(tmp_path), {}, Model(most=7)
    lm = KeptReplies(kept, lambda: first, {"generate_until": 3}, lambda: state.keep_replies("ifeval", "made", kept))
    with pytest.raises(SystemExit):
        lm.generate_until(REQUESTS)
    found, second = state.replies("ifeval", "made"), Model()
    assert state.replies("ifeval", "otherwise") is None
    lm = KeptReplies(found, lambda: second, {"generate_until": 3})
    assert lm.generate_until(REQUESTS) == ANSWERS
    assert [len(first.asked), len(second.asked)] == [6, 4]
    # Scored again later, without the model.
    assert KeptReplies(copy.copy(found), None, {"generate_until": 3}).generate_until(REQUESTS) == ANSWERS
    state.save("made", "scored", Result("ifeval", "acc", 1.0, {}, []), {}, found)
    assert [path.name for path in tmp_path.iterdir()] == ["ifeval.json.gz"]


def test_replies_that_were_kept_as_a_whole_are_taken_as_a_whole():
    whole = {}
    KeptReplies(whole, Model).generate_until(REQUESTS)
    assert len(whole) == 1
    assert KeptReplies(whole, None, {"generate_until": 3}).generate_until(REQUESTS) == ANSWERS
    with pytest.raises(Unanswered):
        KeptReplies({}, None, {"generate_until": 3}).generate_until(REQUESTS)
    assert KeptReplies({}, None).generate_until([]) == []
