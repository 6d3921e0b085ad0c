"""A lock is held by one process, and a file system that has none is named with a remedy, by whatever wants one."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_interface_common.exceptions import WorkflowError

from sdft.common import locks
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
    known = {"workflow": SimpleNamespace(is_main_process=True, dryrun=False, output_settings=None)}
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


def wait_for(tmp_path, monkeypatch, holder, said):
    """Want a lock that `holder` has, with a clock that runs fast."""
    path = tmp_path / ".result.lock"
    with open(path, "w") as held:
        assert try_lock(held, path)
        held.write(holder)
        held.flush()
        clock = iter(range(0, 10**6, 30))
        monkeypatch.setattr(locks.time, "monotonic", lambda: float(next(clock)))
        monkeypatch.setattr(locks.time, "sleep", lambda _: None)
        with pytest.raises(SdftError, match=said):
            locks.publish_alone(tmp_path / "result", 100)


def test_a_lock_names_process_host_and_time_and_waits_no_longer_than_told(tmp_path, monkeypatch):
    holder = locks.this_process()
    assert re.fullmatch(r"process \d+ on host \S+ since [\d-]+T[\d:]+Z", holder)
    wait_for(tmp_path, monkeypatch, holder, rf"result is being written by {re.escape(holder)}; wait for it or stop it")


@pytest.mark.parametrize(
    ("answer", "gone"), [("", True), ("RUNNING", False), ("slurm_load_jobs error: Invalid job id specified", True)]
)
def test_the_lock_of_a_job_that_the_scheduler_has_no_more_is_given_up(tmp_path, monkeypatch, answer, gone):
    squeue = tmp_path / "bin/squeue"
    squeue.parent.mkdir()
    failed = "Invalid" in answer
    squeue.write_text(f"#!/bin/sh\necho '{answer}' {'>&2; exit 1' if failed else ''}\n" if answer else "#!/bin/sh\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(squeue.parent), prepend=os.pathsep)
    holder = "process 7 on host elsewhere job 12 since 2026-01-01T00:00:00Z"
    said = "a job that SLURM has no more.*Delete .*result.lock" if gone else "is being written by process 7"
    wait_for(tmp_path, monkeypatch, holder, said)
    assert not locks.holder_is_gone(f"process 7 on host {socket.gethostname()} job 12")
    assert not locks.holder_is_gone("another process")


def test_every_command_with_a_result_is_its_only_writer(root):
    """Each `main` that has --out holds the lock of it, or that of the run or measurement."""
    for path in sorted([*(root / "sdft").rglob("*.py"), *(root / "workflow_scripts").rglob("*.py")]):
        text = path.read_text()
        if "run_main(main)" not in text or not re.search(r'"--out"|options\.out|out: Annotated', text):
            continue
        assert re.search(r"publish_alone\(|only_writer\(|measuring\(|train\(spec", text), path


def test_who_starts_later_writes_last(tmp_path):
    """An older step is stopped in the middle; the newer one waits for it."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom sdft.common.locks import publish_alone\n"
        "from sdft.common.files import write_text\nout, text, seconds = sys.argv[1:]\npublish_alone(out)\n"
        "Path(f'{out}.{text}').touch()\ntime.sleep(float(seconds))\nwrite_text(out, text)"
    )
    out = tmp_path / "result.txt"
    first = subprocess.Popen([sys.executable, "-c", code, str(out), "old", "0.2"])
    while not Path(f"{out}.old").exists():
        time.sleep(0.02)
    first.send_signal(signal.SIGSTOP)
    second = subprocess.Popen([sys.executable, "-c", code, str(out), "new", "0"])
    time.sleep(0.5)
    assert not Path(f"{out}.new").exists()
    first.send_signal(signal.SIGCONT)
    assert (first.wait(), second.wait()) == (0, 0)
    assert out.read_text() == "new"


def test_marks_of_a_killed_snakemake_go_unless_it_still_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    marks = [Path(".snakemake/locks/0.input.lock"), Path(".snakemake/incomplete/x")]
    for mark in marks:
        mark.parent.mkdir(parents=True)
        mark.touch()
    with open(".snakemake/running", "w") as running:
        assert try_lock(running, "running", shared=True)
        second = recover()
        assert all(mark.exists() for mark in marks)
    second["RUNNING"].close()
    first = recover()
    assert not any(mark.exists() for mark in marks)
    first["RUNNING"].close()
