"""Results are whole or absent."""

from __future__ import annotations

import itertools
import json
import time

import pytest

from sdft.common import files
from sdft.common.errors import SdftError
from sdft.common.provenance import Clock


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "result.json"
    files.write_json(path, {"value": 1})
    with pytest.raises(ValueError, match="nan"):
        files.write_json(path, {"value": float("nan")})

    def fail_halfway():
        with files.atomic_path(path) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert json.loads(path.read_text()) == {"value": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_changed_file_is_refused_by_name(tmp_path):
    (tmp_path / "weights").write_bytes(b"abc")
    recorded = files.sha256_files(tmp_path)
    files.check_sha256(tmp_path, recorded)
    (tmp_path / "weights").write_bytes(b"ab")
    with pytest.raises(SdftError, match="weights has sha256"):
        files.check_sha256(tmp_path, recorded)
    (tmp_path / "weights").unlink()
    with pytest.raises(SdftError, match="missing"):
        files.check_sha256(tmp_path, recorded)


def test_broken_json_is_named_with_its_line(tmp_path):
    path = tmp_path / "score.json"
    path.write_text('{"a": 1,\n')
    with pytest.raises(SdftError, match=r"score.json is not valid JSON \(line"):
        files.read_json(path)
    path.write_text('{"a": 1, "b": [{"c": 2, "d": 3, "c": 2}]}')
    with pytest.raises(SdftError, match="'c' stands twice"):
        files.read_json(path)
    with pytest.raises(SdftError, match="does not exist"):
        files.read_json(tmp_path / "absent.json")


def test_a_large_file_is_read_again_only_when_it_has_changed(tmp_path, monkeypatch):
    path, read = tmp_path / "weights", []
    whole = files._sha256
    monkeypatch.setattr(files, "_sha256", lambda path: read.append(path) or whole(path))
    monkeypatch.setattr(files, "LARGE", 4)
    path.write_bytes(b"0123")
    first = files.sha256_file(path)
    assert files.sha256_file(path) == first
    assert len(read) == 1
    path.write_bytes(b"0124")
    assert files.sha256_file(path) != first
    assert len(read) == 2


def test_twins_in_containers_with_one_process_number_write_to_different_names(tmp_path, monkeypatch):
    names = set()
    for _ in range(2):
        with files.atomic_path(tmp_path / "result") as part:
            names.add(part.name)
            part.touch()
    assert len(names) == 2


def test_a_clock_that_is_set_back_makes_no_cost_negative(monkeypatch):
    now = itertools.count(time.time(), -3600)
    monkeypatch.setattr("time.time", lambda: next(now))
    clock = Clock()
    assert 0 <= clock.cost()["seconds"] < 60
    # What an earlier process took counts too.
    clock.start -= 100
    assert 100 <= clock.cost()["seconds"] < 160
