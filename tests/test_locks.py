"""A lock is held by one process, and a file system that has none is named with a remedy, by whatever wants one."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_common.exceptions import WorkflowError

from sdft.common.errors import SdftError
from sdft.common.locks import only_writer, try_lock
from workflow_scripts import start

RECOVERY = Path(__file__).parents[1] / "rules/recovery.smk"


@pytest.fixture(params=["ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOLCK"])
def no_locks(request, monkeypatch):
    def flock(*_):
        raise OSError(getattr(errno, request.param), "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)


def recover():
    """What every start of Snakemake does first; the rule file is plain Python."""
    known = {"workflow": SimpleNamespace(is_main_process=True)}
    exec(compile(RECOVERY.read_text(), RECOVERY, "exec"), known)
    return known


def test_a_writer_names_a_file_system_without_locks(no_locks, tmp_path):
    said = "no file locks .*mount option flock.*another file system"
    with pytest.raises(SdftError, match=said), only_writer(tmp_path / "state"):
        pass


def test_a_start_names_a_file_system_without_locks(no_locks, tmp_path):
    with pytest.raises(SdftError, match="no file locks"):
        start.take_lock(tmp_path / "lock")
    mark = tmp_path / "running"
    mark.touch()
    with pytest.raises(SdftError, match="no file locks"):
        start.snakemake_is_running(mark)


def test_snakemake_names_a_file_system_without_locks(no_locks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkflowError, match="no file locks"):
        recover()


def test_other_errors_are_not_taken_for_a_lock(monkeypatch, tmp_path):
    def flock(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    with open(tmp_path / "lock", "w") as file, pytest.raises(OSError, match="Input/output"):
        try_lock(file, tmp_path / "lock")


def test_marks_of_a_killed_snakemake_go_unless_it_still_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    marks = [Path(".snakemake/locks/0.input.lock"), Path(".snakemake/incomplete/x")]
    for mark in marks:
        mark.parent.mkdir(parents=True)
        mark.touch()
    with open(".snakemake/running", "w") as running:
        assert try_lock(running, "running")
        recover()
        assert all(mark.exists() for mark in marks)
    first = recover()
    assert not any(mark.exists() for mark in marks)
    first["RUNNING"].close()
