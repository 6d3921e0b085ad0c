"""Interrupting and continuing a run: checkpoints that are whole or ignored, one writer a folder, orderly stops."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdft.errors import SdftError
from sdft.provenance import sha256_file, write_json

STATE = "state.pt"
RECORD = "record.json"
METRICS = "metrics.jsonl"
FINISHED = "finished.json"


def say(message: str) -> None:
    """A line for the person or the log that watches."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def only_writer(folder: str | Path, wait_minutes: float = 0) -> Iterator[None]:
    """Hold `folder`/lock; the system lets go of it when the process ends, however it ends.

    While another process has it, wait for at most `wait_minutes`. Raises SdftError naming the holder after that.
    """
    path = Path(folder) / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline, told = time.monotonic() + 60 * wait_minutes, False
    with open(path, "a+", encoding="utf-8") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
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


class StopRequest:
    """Context in which SIGTERM and SIGINT only raise a flag, to be looked at between steps.

    Any number of signals may arrive; the first decides `status` (128 + its number). Outside the main thread, where
    Python cannot handle signals, nothing is changed.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: Any) -> None:
        if self.status is None:
            self.status = 128 + number

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


@contextmanager
def disk_errors(folder: str | Path) -> Iterator[None]:
    """Turn a full disk, in whichever library notices it, into an SdftError with the remedy."""
    try:
        yield
    except SdftError:
        raise
    except Exception as error:
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error):
            raise SdftError(
                f"the disk that holds {folder} is full; free some space (unfinished runs keep checkpoints in their "
                "folder state/) and run the same command again. It continues from the last whole checkpoint."
            ) from error
        raise


class Checkpoints:
    """The last two checkpoints of one run, in folders named by step.

    A checkpoint is written beside its place, flushed to disk and renamed; it is used only if its SHA-256 and
    `fingerprint` fit. fingerprint: digest of everything that decides the result (specification, code, inputs).
    """

    def __init__(self, folder: str | Path, fingerprint: str) -> None:
        self.folder = Path(folder)
        self.fingerprint = fingerprint

    def _folders(self) -> list[Path]:
        """Existing checkpoints, the newest first; by number, since "step-950" sorts after "step-1138"."""
        found = [path for path in self.folder.glob("step-*") if path.name.removeprefix("step-").isdigit()]
        return sorted(found, key=lambda path: int(path.name.removeprefix("step-")), reverse=True)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Keep `state` (tensors and plain values) as the checkpoint after `step` steps, and the one before it."""
        import torch

        part = self.folder / f"part-{step}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        with disk_errors(self.folder):
            with open(part / STATE, "wb") as handle:
                torch.save(state, handle)
                handle.flush()
                os.fsync(handle.fileno())
            digest = sha256_file(part / STATE)
            write_json(part / RECORD, {"step": step, "fingerprint": self.fingerprint, "sha256": digest})
            sync_folder(part)
        place = self.folder / f"step-{step}"
        shutil.rmtree(place, ignore_errors=True)
        os.replace(part, place)
        sync_folder(self.folder)
        for old in self._folders()[2:]:
            shutil.rmtree(old, ignore_errors=True)

    def load(self, device: Any = "cpu") -> tuple[int, dict[str, Any]] | None:
        """Step and state of the newest checkpoint that is whole; None when there is none to continue from.

        Says which one was skipped, and why. Checkpoints of another specification, code or input are removed.
        """
        import torch

        for part in self.folder.glob("part-*"):
            shutil.rmtree(part, ignore_errors=True)
        for place in self._folders():
            try:
                record = json.loads((place / RECORD).read_text(encoding="utf-8"))
                whole = sha256_file(place / STATE) == record["sha256"]
            except (OSError, ValueError, KeyError, TypeError):
                whole = False
            if not whole:
                say(f"{place} is torn; looking for the checkpoint before it")
                continue
            if record["fingerprint"] != self.fingerprint:
                say(f"{place} belongs to other settings, code or data; starting afresh")
                self.clear()
                return None
            return record["step"], torch.load(place / STATE, map_location=device, weights_only=True)
        return None

    def clear(self) -> None:
        """Remove all checkpoints."""
        for place in self._folders():
            shutil.rmtree(place, ignore_errors=True)


def sync_folder(folder: str | Path) -> None:
    """Flush a folder's own entries, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
