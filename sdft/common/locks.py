"""One writer a result, by a lock that the system lets go of when the process ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError
from sdft.common.progress import say

# What flock answers on a file system that has no locks, such as Lustre without the mount option flock.
NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
# Minutes for which a step waits for another one that writes the same: as long as a job may take.
LONG = 10_000
# Seconds between questions to the scheduler, and how long a dead holder's lock may outlive it: network file systems
# notice a dead machine within minutes.
ASK_SECONDS, DEAD_SECONDS = 60, 300


def try_lock(file: Any, path: str | Path, shared: bool = False) -> bool:
    """Lock an open file, exclusively or with others who share it; False while another process has the lock.

    path: of the file, for the message. Raises SdftError where the file system has no locks.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        raise SdftError(
            f"the file system of {path} has no file locks ({error.strerror}), without which two processes could write "
            "the same files; have it mounted with locks (on Lustre the mount option flock), or work in a folder, "
            "results/ included, on another file system."
        ) from None
    return True


def this_process() -> str:
    """Who has a lock: process, host, SLURM job and time, for people and for `holder_is_gone`."""
    job = os.environ.get("SLURM_JOB_ID")
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return f"process {os.getpid()} on host {socket.gethostname()}{f' job {job}' if job else ''} since {since}"


def holder_is_gone(holder: str) -> bool:
    """Whether the SLURM job in which a holder ran has surely ended; False where nobody knows.

    A holder on this machine lives, since the kernel would have let go of its lock.
    """
    job = re.search(r" on host (\S+) job (\d+)", holder)
    if job is None or job[1] == socket.gethostname():
        return False
    command = ["squeue", "--noheader", "--format=%T", f"--jobs={job[2]}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return (done.returncode == 0 and not done.stdout.strip()) or "Invalid job id" in done.stderr


def _wait_for(handle: Any, path: Path, what: Path, wait_minutes: float) -> None:
    """Lock an open file and write into it who has it. Raises SdftError naming the holder when that takes too long."""
    begun, told, asked, gone = time.monotonic(), False, 0.0, None
    while not try_lock(handle, path):
        handle.seek(0)
        holder = handle.read().strip() or "another process"
        now = time.monotonic()
        if now - begun >= 60 * wait_minutes:
            raise SdftError(
                f"{what} is being written by {holder}; wait for it or stop it, then run the same command again."
            )
        if not told:
            say(f"waiting for {holder}, which is writing {what}")
            told = True
        if now - asked >= ASK_SECONDS or not asked:
            asked = now
            gone = (gone or now) if holder_is_gone(holder) else None
        if gone is not None and now - gone >= DEAD_SECONDS:
            raise SdftError(
                f"{what} is locked by {holder}, a job that SLURM has no more; its file system has not noticed. Delete "
                f"{path}, then run the same command again."
            )
        time.sleep(1)
    handle.truncate(0)
    handle.write(this_process())
    handle.flush()


@contextmanager
def only_writer(folder: str | Path, wait_minutes: float = 0) -> Iterator[None]:
    """Hold `folder`/lock.

    While another process has it, wait for at most `wait_minutes`. Raises SdftError naming the holder after that, where
    the holder's SLURM job is long gone, and where the file system has no locks.
    """
    path = Path(folder) / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as handle:
        _wait_for(handle, path, Path(folder), wait_minutes)
        yield


_held: dict[Path, Any] = {}


def publish_alone(out: str | Path, wait_minutes: float = LONG) -> None:
    """Be the only process that writes the results `out`, a file or a folder, until this process ends.

    A step that an interrupted workflow left behind may still work on the same results, with another configuration. Who
    starts later waits for it, for at most `wait_minutes`, and writes last. The lock lies beside `out`, and does nothing
    to it. Raises SdftError as `only_writer`.
    """
    out = Path(out).resolve()
    path = out.with_name(f".{out.name}.lock")
    if path in _held:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - it stays open for as long as the process lives
    try:
        _wait_for(handle, path, out, wait_minutes)
    except BaseException:
        handle.close()
        raise
    _held[path] = handle
