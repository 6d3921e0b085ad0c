"""One writer a folder, by a lock that the system lets go of when the process ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError
from sdft.common.progress import say

# What flock answers on a file system that has no locks, such as Lustre without the mount option flock.
NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}


def try_lock(file: Any, path: str | Path) -> bool:
    """Lock an open file exclusively; False while another process has the lock.

    path: of the file, for the message. Raises SdftError where the file system has no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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


@contextmanager
def only_writer(folder: str | Path, wait_minutes: float = 0) -> Iterator[None]:
    """Hold `folder`/lock.

    While another process has it, wait for at most `wait_minutes`. Raises SdftError naming the holder after that, and
    where the file system has no locks.
    """
    path = Path(folder) / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline, told = time.monotonic() + 60 * wait_minutes, False
    with open(path, "a+", encoding="utf-8") as handle:
        while not try_lock(handle, path):
            handle.seek(0)
            holder = handle.read().strip() or "another process"
            if time.monotonic() >= deadline:
                raise SdftError(
                    f"{folder} is being written by {holder}; wait for it or stop it, then run the same command again."
                )
            if not told:
                say(f"waiting for {holder}, which is writing {folder}")
                told = True
            time.sleep(1)
        handle.truncate(0)
        handle.write(f"process {os.getpid()} on host {socket.gethostname()}")
        handle.flush()
        yield
