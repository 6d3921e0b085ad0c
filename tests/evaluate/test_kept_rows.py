"""Rows of an unfinished measurement are each row once, in order, whoever wrote the file."""

from __future__ import annotations

import json
import multiprocessing

import pytest

from sdft.common.errors import SdftError
from sdft.evaluate.partial import Partial, measuring

NAMES = [f"m{number}" for number in range(6)]
BLOCKS = [[{"id": name, "value": name.upper()} for name in NAMES[start : start + 2]] for start in (0, 2, 4)]


def partial(folder, key="key"):
    return Partial(folder / "out.json", key, "id", NAMES)


@pytest.mark.parametrize(("order", "kept"), [("0012", 1), ("0101", 2), ("02", 1), ("1", 0), ("0122", 3)])
def test_what_two_writers_left_is_used_up_to_the_first_row_that_is_not_the_next(tmp_path, order, kept):
    twin = partial(tmp_path)
    for number in order:
        twin.add(BLOCKS[int(number)])
    found = partial(tmp_path)
    assert found.rows == [row for block in BLOCKS[:kept] for row in block]
    # What follows stands where the dropped rows stood.
    for block in BLOCKS[kept:]:
        found.add(block)
    assert [row["id"] for row in partial(tmp_path).rows] == NAMES


def test_a_block_is_kept_as_a_whole_or_not_at_all(tmp_path):
    partial(tmp_path).add(BLOCKS[0])
    partial(tmp_path).add(BLOCKS[1])
    path = tmp_path / "out.json.state/rows.jsonl"
    path.write_text(path.read_text()[: -len('"M3"}]\n')])
    assert partial(tmp_path).rows == BLOCKS[0]
    assert partial(tmp_path, "other").rows == []


@pytest.mark.parametrize("line", ["[]", "7", "[7]", '{"id": "m0"}', '[{"name": "m0"}]', "[null]"])
def test_a_line_that_is_no_block_ends_what_is_used(tmp_path, line):
    made = partial(tmp_path)
    with open(made.path, "a") as file:
        file.write(f"{line}\n")
    made.add(BLOCKS[0])
    assert partial(tmp_path).rows == []


def hold(out, ready, done):
    with measuring(out, "key", "id", NAMES, 0) as rows:
        ready.set()
        done.wait(30)
        rows.finish({"made by": "the first"})


def test_a_twin_is_refused_or_waits_and_finds_the_result(tmp_path, capfd):
    out = tmp_path / "out.json"
    ready, done = multiprocessing.Event(), multiprocessing.Event()
    child = multiprocessing.get_context("fork").Process(target=hold, args=(out, ready, done))
    child.start()
    ready.wait(30)
    try:
        with (
            pytest.raises(SdftError, match=f"being written by process {child.pid}"),
            measuring(out, "key", "id", NAMES, 0),
        ):
            pass
        done.set()
        with measuring(out, "key", "id", NAMES, 1) as rows:
            assert rows is None
    finally:
        done.set()
        child.join()
    assert json.loads(out.read_text())["made by"] == "the first"
    with measuring(out, "other", "id", NAMES, 0) as rows:
        assert rows.rows == []
