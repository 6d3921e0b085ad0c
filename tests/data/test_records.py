"""Records survive a round trip, and a damaged row is named by file and line."""

from __future__ import annotations

import json

import pytest

from sdft.common.errors import SdftError
from sdft.records.record import Record, read_records, write_records

GOOD = {"id": "a", "prompt": [{"role": "user", "content": "why?"}]}


def test_round_trip(tmp_path):
    records = [
        Record(
            "a", [{"role": "system", "content": "be\nbrief"}, {"role": "user", "content": "é"}], {"expert": "x"}, "B"
        ),
        Record("b", [{"role": "user", "content": "q"}], answer=[{"Action": "go", "Action_Input": "{}"}], meta={"n": 1}),
    ]
    write_records(tmp_path / "rows.jsonl", records)
    assert read_records(tmp_path / "rows.jsonl") == records


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"id": "b", "prompt": [', "not valid JSON"),
        ("", "not valid JSON"),
        ("[1]", "must be a JSON object"),
        (json.dumps({"id": "b"}), "'prompt' is missing"),
        (json.dumps({**GOOD, "id": "b", "anser": "A"}), "'anser' is unknown"),
        (json.dumps({**GOOD, "id": ""}), "non-empty string"),
        (json.dumps({**GOOD, "id": "b", "prompt": []}), "non-empty list"),
        (json.dumps({"id": "b", "prompt": [{"role": "user", "content": 1}]}), "must be a string"),
        (json.dumps({"id": "b", "prompt": [{"role": "tool", "content": ""}]}), "none of system, user, assistant"),
        (json.dumps({"id": "b", "prompt": [{"role": "system", "content": ""}]}), "must be the user's"),
        (json.dumps({**GOOD, "id": "b", "demonstrations": {"expert": None}}), "must map styles to strings"),
        (json.dumps(GOOD), "already used on line 1"),
    ],
)
def test_a_damaged_row_is_named_by_file_and_line(tmp_path, line, reason):
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n{line}\n{json.dumps({**GOOD, 'id': 'z'})}\n")
    with pytest.raises(SdftError) as caught:
        read_records(path)
    assert f"{path}:2: " in str(caught.value)
    assert reason in str(caught.value)
    assert "delete it" in str(caught.value)


def test_a_file_cut_in_the_middle_of_a_row_is_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    text = f"{json.dumps(GOOD)}\n{json.dumps({**GOOD, 'id': 'b'})}\n".encode()
    path.write_bytes(text[:-9])
    with pytest.raises(SdftError, match=r"rows.jsonl:2"):
        read_records(path)


def test_rows_that_are_missing_are_noticed(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(GOOD | {"id": str(number)}) + "\n" for number in range(3)))
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {"rows.jsonl": {"rows": 3}}}))
    assert len(read_records(path)) == 3
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(SdftError, match=r"rows.jsonl:2: the file ends here, and .*manifest.json says that it has 3"):
        read_records(path)


def test_missing_empty_and_binary_files_are_refused(tmp_path):
    with pytest.raises(SdftError, match="does not exist"):
        read_records(tmp_path / "absent.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(SdftError, match="holds no rows"):
        read_records(tmp_path / "empty.jsonl")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SdftError, match=r"binary.jsonl:1"):
        read_records(tmp_path / "binary.jsonl")


def test_an_invalid_record_leaves_the_old_file(tmp_path):
    path = tmp_path / "rows.jsonl"
    good = Record("a", [{"role": "user", "content": "q"}])
    write_records(path, [good])
    for bad in ([good, good], [Record("b", [])]):
        with pytest.raises(SdftError, match="row"):
            write_records(path, bad)
    assert read_records(path) == [good]
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_style_is_named_with_those_there_are():
    record = Record("a", [{"role": "user", "content": "q"}], {"shared": "x"})
    assert record.demonstration("shared") == "x"
    with pytest.raises(SdftError, match=r"'a' has no demonstration of style 'foreign' \(it has: shared\)"):
        record.demonstration("foreign")
