"""What the safe start refuses, and how it treats jobs that were left behind. No cluster is needed."""

from __future__ import annotations

import fcntl
import subprocess
import sys

import pytest
from cluster import ROOT

from sdft.common.errors import SdftError
from workflow_scripts import start


def test_a_second_start_in_the_same_directory_is_refused(tmp_path):
    lock = tmp_path / "lock"
    start.take_lock(lock)
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        f"from workflow_scripts.start import *\ntake_lock(Path({str(lock)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "being run already" in done.stderr


def test_a_start_on_another_machine_must_be_taken_over_by_name(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text("login2 process 77\n")
    with pytest.raises(SdftError, match=r"login2 process 77.*--take-over"):
        start.take_lock(lock)
    start.take_lock(lock, take_over=True)
    assert "login2" not in lock.read_text()


def test_a_running_snakemake_is_seen_by_its_lock(tmp_path):
    mark = tmp_path / "running"
    assert not start.snakemake_is_running(mark)
    with open(mark, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert start.snakemake_is_running(mark)
    assert not start.snakemake_is_running(mark)


@pytest.mark.parametrize("choice", ["cancel", "wait"])
def test_it_goes_on_when_the_last_orphan_is_gone(monkeypatch, choice):
    answers = iter([["4", "5"], ["5"], []])
    cancelled = []
    monkeypatch.setattr(start, "jobs_here", lambda *_: next(answers))
    monkeypatch.setattr(start.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(start.subprocess, "run", lambda command, **_: cancelled.extend(command))
    start.settle_orphans(choice)
    assert cancelled == (["scancel", "4", "5"] if choice == "cancel" else [])


def test_without_an_answer_from_squeue_it_does_not_start(monkeypatch):
    def silent(*_):
        raise subprocess.CalledProcessError(1, "squeue", stderr="Unable to contact slurm controller")

    monkeypatch.setattr(start, "jobs_here", silent)
    with pytest.raises(SdftError, match="Unable to contact slurm controller"):
        start.settle_orphans("cancel")
