"""Rows of one's own are read in the forms that people have, and refused by file, line and field."""

from __future__ import annotations

import json

import pytest

from sdft.common.errors import SdftError
from sdft.records.jsonl import COMPLETION, UNNAMED, load
from sdft.records.record import Record, write_records

USER = {"role": "user", "content": "Why?"}
SAID = {"role": "assistant", "content": "So."}


def read(tmp_path, *rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return load(path)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Why?", "demonstration": "So."},
        {"prompt": [USER], "demonstration": "So."},
        {"prompt": "Why?", "completion": "So."},
        {"prompt": [USER], "completion": [SAID]},
        {"messages": [USER, SAID]},
    ],
)
def test_the_usual_forms_are_the_same_record(tmp_path, row):
    assert read(tmp_path, row | {"answer": "so"}) == [Record("rows-1", [USER], {UNNAMED: "So."}, "so")]


@pytest.mark.parametrize("shown", ["demonstration", "privileged_context"])
def test_what_is_imitated_and_what_a_teacher_is_shown_may_differ(tmp_path, shown):
    row = {"prompt": [USER], shown: "Because of this."}
    (record,) = read(tmp_path, row | {"completion": [SAID]})
    assert record.demonstrations == {UNNAMED: "Because of this.", COMPLETION: "So."}
    assert read(tmp_path, row | {"completion": "So."}) == [record]


def test_demonstrations_by_style_ids_and_further_fields_are_kept(tmp_path):
    first, second = read(
        tmp_path,
        {"id": 7, "prompt": "Why?", "demonstration": {"expert": "So.", "short": "So"}, "source": "exam"},
        {"prompt": "Who?", "answer": ["a", "b"]},
    )
    assert (first.id, first.demonstrations, first.meta) == ("7", {"expert": "So.", "short": "So"}, {"source": "exam"})
    # Blank lines count, so that the name leads to the line.
    assert (second.id, second.demonstrations, second.answer) == ("rows-3", {}, ["a", "b"])


def test_records_of_this_project_are_read_as_they_were_written(tmp_path):
    records = [Record("a", [USER], {"expert": "x"}, "B", {"n": 1})]
    write_records(tmp_path / "rows.jsonl", records)
    assert load(tmp_path / "rows.jsonl") == records


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('{"prompt": ', "not a JSON object"),
        ("[1]", "not an object"),
        ({"question": "Why?"}, "'prompt' or 'messages' (the row has question)"),
        ({"prompt": ""}, "'prompt' must be text"),
        ({"prompt": [SAID]}, "must be the user's"),
        ({"prompt": [{"role": "user"}]}, "'role' and 'content'"),
        ({"messages": "Why?"}, "'messages' must be a list"),
        ({"prompt": "Why?", "demonstration": 3}, "'demonstration' must be text"),
        ({"prompt": "Why?", "demonstration": {"expert": ""}}, "'demonstration' must be text"),
        ({"prompt": "Why?", "demonstration": "a", "privileged_context": "b"}, "demonstration is given twice"),
        ({"messages": [USER, SAID], "completion": "a"}, "given twice (completion, messages)"),
        ({"prompt": "Why?", "completion": {"expert": "a"}}, "'completion' must be text, or a list of one"),
        ({"prompt": "Why?", "id": True}, "'id' must be"),
        ({"prompt": "Why?", "id": "first"}, "'first', which an earlier line has"),
        ({"prompt": "Why?", "meta": 1}, "'meta' must be an object"),
    ],
)
def test_a_row_of_another_form_is_named_by_file_line_and_field(tmp_path, row, reason):
    with pytest.raises(SdftError) as caught:
        read(tmp_path, {"id": "first", "prompt": "Why?"}, row)
    assert f"{tmp_path}/rows.jsonl:3: " in str(caught.value)
    assert reason in str(caught.value)
    assert "Mend the line" in str(caught.value)


def test_another_kind_of_file_and_an_empty_one_are_refused(tmp_path):
    (tmp_path / "rows.json").write_text("[]")
    with pytest.raises(SdftError, match=r"rows.json is not a .jsonl file"):
        load(tmp_path / "rows.json")
    with pytest.raises(SdftError, match=r"rows.jsonl holds no rows"):
        read(tmp_path, "")
