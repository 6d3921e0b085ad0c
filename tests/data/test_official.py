"""Official files become records, and what does not fit is refused by file and row."""

from __future__ import annotations

import json

import pytest

from sdft.common.errors import SdftError
from sdft.tasks import read_task

TOOLUSE = {
    "prompt": "Use a tool. Question: which bus?",
    "name": "Bus",
    "description": "Buses",
    "nl_documentation": "findBus: ...",
    "instruction": "which bus?",
    "golden_answer": [{"Action": "findBus", "Action_Input": '{"line": 7}'}],
}
SCIENCE = {
    "prompt": [{"content": "Choose.", "role": "system"}, {"content": "Which?\n\nA: x\nB: y", "role": "user"}],
    "answer": "B",
}


def write(path, rows):
    path.write_text(json.dumps(rows))
    return path


def arrow(path, rows):
    from datasets import Dataset

    Dataset.from_list(rows).save_to_disk(str(path))
    return path


def test_tool_use_rows(tmp_path):
    training = {**TOOLUSE, "golden_response": ["Thought: a", "Action: findBus"]}
    for path in (arrow(tmp_path / "rows", [training]), write(tmp_path / "rows.json", [training])):
        (record,) = read_task("tooluse", path)
        assert record.prompt == [{"role": "user", "content": TOOLUSE["prompt"]}]
        assert record.demonstrations == {"expert": "Thought: a\nAction: findBus"}
        assert record.answer == TOOLUSE["golden_answer"]
    (record,) = read_task("tooluse", write(tmp_path / "eval.json", [TOOLUSE]))
    assert record.demonstrations == {}


def test_science_rows(tmp_path):
    (record,) = read_task("science", arrow(tmp_path / "eval", [SCIENCE]))
    assert [message["role"] for message in record.prompt] == ["system", "user"]
    assert record.answer == "B"
    assert record.demonstrations == {}
    demonstration = "<reasoning>r</reasoning>\n<answer>\nA\n</answer>\n"
    rows = [{"messages": SCIENCE["prompt"], "output_text": text} for text in (demonstration, "no tags")]
    first, second = read_task("science", arrow(tmp_path / "train", rows))
    assert first.demonstrations == {"expert": demonstration}
    assert (first.answer, second.answer) == ("A", None)


def test_medical_rows(tmp_path):
    verifiable = {"Open-ended Verifiable Question": "What?", "Ground-True Answer": "Gout"}
    supervised = {"Question": "What?", "Complex_CoT": "Hm.", "Response": "It is gout."}
    first, second = read_task("medical", write(tmp_path / "rows.json", [verifiable, supervised]))
    assert (first.answer, first.demonstrations) == ("Gout", {})
    assert (second.answer, second.demonstrations) == (
        "It is gout.",
        {"expert": "It is gout.", "answer": "It is gout."},
    )


@pytest.mark.parametrize(
    ("task", "good", "change", "reason"),
    [
        ("tooluse", TOOLUSE, {"prompt": None}, "'prompt' must be a string"),
        ("tooluse", TOOLUSE, {"golden_answer": "findBus"}, "'golden_answer' must be a list"),
        ("tooluse", TOOLUSE, {"golden_answer": [{"Action": "findBus"}]}, "must hold 'Action_Input'"),
        ("tooluse", TOOLUSE, {"golden_answer": [{"action": "findBus"}]}, "must hold 'Action'"),
        ("tooluse", TOOLUSE, {"golden_response": []}, "'golden_response' must be a non-empty list"),
        ("science", SCIENCE, {"answer": "E"}, "'E' is none of A, B, C, D"),
        ("science", SCIENCE, {"prompt": SCIENCE["prompt"][:1]}, "must be the user's"),
        ("medical", {"Question": "What?", "Response": "Gout."}, {"Response": 3}, "'Response' must be a string"),
    ],
)
def test_a_row_of_another_schema_is_named(tmp_path, task, good, change, reason):
    path = write(tmp_path / "rows.json", [good, {**good, **change}])
    with pytest.raises(SdftError) as caught:
        read_task(task, path)
    assert f"{path}, row 1 (from 0): " in str(caught.value)
    assert reason in str(caught.value)


def test_a_missing_field_is_named(tmp_path):
    with pytest.raises(SdftError, match=r"row 0 .*'golden_answer' is missing"):
        read_task("tooluse", write(tmp_path / "rows.json", [{"prompt": "x"}]))


def test_files_that_are_no_data_are_refused(tmp_path):
    with pytest.raises(SdftError, match="does not exist"):
        read_task("science", tmp_path / "absent")
    (tmp_path / "cut.json").write_text('[{"prompt": ')
    with pytest.raises(SdftError, match=r"cut.json is not a JSON file"):
        read_task("tooluse", tmp_path / "cut.json")
    with pytest.raises(SdftError, match="non-empty list"):
        read_task("tooluse", write(tmp_path / "empty.json", []))
    (tmp_path / "folder").mkdir()
    with pytest.raises(SdftError, match="cannot be read as a data set"):
        read_task("science", tmp_path / "folder")
    with pytest.raises(SdftError, match="no official files"):
        read_task("knowledge", tmp_path / "folder")


def test_a_truncated_arrow_file_is_refused(tmp_path):
    folder = arrow(tmp_path / "rows", [SCIENCE] * 50)
    (file,) = folder.glob("*.arrow")
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(SdftError, match="cannot be read as a data set"):
        read_task("science", folder)


def test_a_parquet_file_is_read_and_a_damaged_one_named(tmp_path):
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([SCIENCE] * 50), path)
    assert [record.answer for record in read_task("science", path)] == ["B"] * 50
    whole = path.read_bytes()
    for damaged in (b"", b"<html>not found</html>", whole[:300], whole[:-300]):
        path.write_bytes(damaged)
        with pytest.raises(SdftError, match=r"rows.parquet cannot be read as a parquet file .* download it again"):
            read_task("science", path)


def test_the_official_test_sets(real_data):
    old, new = (read_task("tooluse", real_data / "tooluse" / name) for name in ("eval_68.json", "eval_97"))
    assert new[:68] == old
    science = read_task("science", real_data / "science" / "eval_507")
    assert len(science) == 507
    assert [sum(record.answer == letter for record in science) for letter in "ABCD"] == [123, 127, 127, 130]
    assert len({record.prompt[0]["content"] for record in science}) == 1
