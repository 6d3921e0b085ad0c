"""A job that SLURM stops at its time limit is started again by itself, instead of failing.

SLURM sends SIGTERM some time before the limit (`--signal`, sdft/study/requests.py). What was done by then is kept, and
the same job goes back to the queue: under the same id, so that whoever waits for it sees no failure.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sdft.common.progress import say

TERMINATED = 128 + signal.SIGTERM
_kept: list[bool] = []


def progressed() -> None:
    """Something new was kept since this process started. Without that, starting again would stop at the same place."""
    if os.environ.get("RANK", "0") == "0":
        _kept.append(True)


@contextmanager
def starts_again() -> Iterator[None]:
    """For a step that keeps what it has as it goes: SIGTERM ends it by SystemExit, and SLURM starts it again."""
    before = None
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    except SystemExit as stop:
        if stop.code == TERMINATED:
            start_again()
        raise
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: Any) -> None:
    # SLURM sends it twice.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(TERMINATED)


def start_again() -> bool:
    """Have SLURM start this job again; whether it does.

    Only where the job still counts as running: one that was cancelled, or preempted, is somebody else's to decide.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if not job or not _kept or shutil.which("scontrol") is None:
        return False
    if _ask("squeue", "--noheader", f"--jobs={job}", "--format=%T") != "RUNNING":
        return False
    if _ask("scontrol", "requeue", job) is None:
        say(f"SLURM does not start job {job} again; it counts as failed, and its next attempt continues")
        return False
    say(f"job {job} nears its time limit and goes back to the queue; it continues there")
    return True


def _ask(*command: str) -> str | None:
    """Standard output of a SLURM command; None when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
