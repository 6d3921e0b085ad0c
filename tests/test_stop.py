"""A job that is told of its time limit goes back to the queue, unless somebody ended it or nothing was gained."""

from __future__ import annotations

import os
import signal

import pytest

from sdft.common import stop

SQUEUE = "#!/bin/sh\necho {state}\n"
SCONTROL = "#!/bin/sh\necho $@ >> {log}; exit {status}\n"


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A job in which the SLURM commands answer as given; returns what scontrol was asked."""
    monkeypatch.setattr(stop, "_kept", [])
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    log = tmp_path / "asked"

    def cluster(state="RUNNING", status=0):
        for name, text in (("squeue", SQUEUE), ("scontrol", SCONTROL)):
            path = tmp_path / name
            path.write_text(text.format(state=state, status=status, log=log))
            path.chmod(0o755)
        return lambda: log.read_text().splitlines() if log.exists() else []

    return cluster


def terminated():
    with pytest.raises(SystemExit) as ended, stop.starts_again():
        os.kill(os.getpid(), signal.SIGTERM)
    return ended.value.code


def test_a_step_that_kept_something_new_is_started_again(slurm):
    asked = slurm()
    stop.progressed()
    assert terminated() == 143
    assert asked() == ["requeue 17"]


@pytest.mark.parametrize("state", ["CANCELLED", "COMPLETING", "PREEMPTED", "TIMEOUT", ""])
def test_a_job_that_somebody_ended_stays_ended(slurm, state):
    asked = slurm(state)
    stop.progressed()
    assert terminated() == 143
    assert asked() == []


def test_a_job_that_gained_nothing_would_gain_nothing_again(slurm):
    asked = slurm()
    assert terminated() == 143
    assert asked() == []


def test_where_the_site_allows_no_requeue_the_attempt_fails(slurm):
    slurm(status=1)
    stop.progressed()
    assert stop.start_again() is False


def test_other_processes_of_a_run_leave_it_to_the_first(slurm, monkeypatch):
    asked = slurm()
    monkeypatch.setenv("RANK", "1")
    stop.progressed()
    assert terminated() == 143
    assert asked() == []


def test_outside_slurm_a_signal_only_ends_the_step(slurm, monkeypatch):
    asked = slurm()
    monkeypatch.delenv("SLURM_JOB_ID")
    stop.progressed()
    assert terminated() == 143
    assert asked() == []
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
