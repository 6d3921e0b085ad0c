"""A user's rows are read in the forms that people have, and refused by file and line before anything is trained."""

from __future__ import annotations

import json

import pytest

from sdft.common.errors import SdftError
from sdft.comparison.rows import DEMONSTRATED, IMITATED, read_rows
from sdft.tasks.scorers import own_task

EXACT = own_task("exact_match")


def written(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def train(tmp_path):
    return written(tmp_path / "train.jsonl", *({"prompt": f"q{n}", "completion": f"a{n}"} for n in range(20)))


def test_completions_are_imitated_shown_and_scored_against_where_a_row_has_nothing_else(train):
    rows = read_rows(train, None, EXACT, choosing=False)
    assert (len(rows.train), len(rows.test), rows.validation) == (16, 4, [])
    for record in (*rows.train, *rows.test):
        number = record.prompt[-1]["content"][1:]
        if record in rows.train:
            assert record.demonstrations == {IMITATED: f"a{number}", DEMONSTRATED: f"a{number}"}
        else:
            assert record.answer == f"a{number}"
    assert rows == read_rows(train, None, EXACT, choosing=False)


def test_a_demonstration_column_is_shown_and_not_imitated(tmp_path):
    row = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    train = written(tmp_path / "train.jsonl", row | {"demonstration": "because of this, a"})
    test = written(tmp_path / "test.jsonl", {"prompt": "other", "answer": "b"})
    (record,) = read_rows(train, test, EXACT, choosing=False).train
    assert record.demonstrations == {IMITATED: "a", DEMONSTRATED: "because of this, a"}


def test_no_row_is_trained_on_that_is_scored_or_chosen_by(tmp_path, train):
    test = written(tmp_path / "test.jsonl", {"prompt": "q3", "answer": "a3"}, {"prompt": "new", "answer": "b"})
    rows = read_rows(train, test, EXACT, choosing=True)
    prompts = [{record.prompt[0]["content"] for record in part} for part in (rows.train, rows.validation, rows.test)]
    assert prompts[0] | prompts[1] == {f"q{n}" for n in range(20) if n != 3}
    assert not prompts[0] & prompts[1]
    assert any("1 rows" in note and "prompt of a test row" in note for note in rows.notes)


@pytest.mark.parametrize(
    ("scorer", "row", "reason"),
    [
        ("exact_match", {"prompt": "q"}, "neither 'answer' nor a completion"),
        ("choice", {"prompt": "q", "answer": "AB"}, "needs one letter"),
        ("react", {"prompt": "q", "completion": "text"}, "scorer needs a list of"),
        ("exact_match", {"question": "q"}, "'prompt' or 'messages'"),
    ],
)
def test_a_test_row_that_cannot_be_scored_is_named_by_file_and_line(tmp_path, train, scorer, row, reason):
    first = {"prompt": "p", "answer": [{"Action": "a", "Action_Input": {}}] if scorer == "react" else "A"}
    test = written(tmp_path / "test.jsonl", first, row)
    with pytest.raises(SdftError) as caught:
        read_rows(train, test, own_task(scorer), choosing=False)
    assert f"{test}:2: " in str(caught.value)
    assert reason in str(caught.value)


def test_a_row_without_anything_to_train_on_is_named_by_file_and_line(tmp_path):
    train = written(tmp_path / "train.jsonl", {"prompt": "q", "completion": "a"}, {"prompt": "p", "answer": "a"})
    with pytest.raises(SdftError, match=r"train.jsonl:2: the row has no completion to train on"):
        read_rows(train, None, EXACT, choosing=False)


def test_a_python_function_scores_and_a_wrong_one_is_refused(tmp_path, monkeypatch):
    (tmp_path / "my_scorers.py").write_text(
        "def half(response, record):\n    return 0.5\n\ndef wrong(response, record):\n    return 'yes'\n"
        "def short(response):\n    return 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    train = written(tmp_path / "t.jsonl", *({"prompt": text, "completion": text} for text in "abc"))
    rows = read_rows(train, None, own_task("my_scorers:half"), choosing=False)
    assert own_task("my_scorers:half").score("x", rows.test[0]) == 0.5
    for name, reason in (("wrong", "returned 'yes'"), ("short", "two arguments"), ("none", "cannot be imported")):
        with pytest.raises(SdftError, match=reason):
            own_task(f"my_scorers:{name}").score("x", rows.test[0])
    with pytest.raises(SdftError, match="did you mean 'contains'"):
        own_task("contain")
