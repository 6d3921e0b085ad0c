"""Interrupting and continuing a run: checkpoints that are whole or ignored, orderly stops."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from sdft.common.errors import SdftError, explained
from sdft.common.files import sha256_file, write_json
from sdft.common.progress import say
from sdft.learning.processes import SingleProcess

STATE = "state.pt"
RECORD = "record.json"
METRICS = "metrics.jsonl"
FINISHED = "finished.json"


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
    """Turn an error of the file system, in whichever library notices it, into an SdftError with the remedy."""
    try:
        yield
    except SdftError:
        raise
    except Exception as error:
        paragraph = explained(error)
        if paragraph is None:
            raise
        raise SdftError(f"{paragraph} The run in {folder} continues from its last whole checkpoint.") from error


class HashedWriter:
    """A file that is written from beginning to end, and the SHA-256 of it: reading 76 GB again would take minutes."""

    def __init__(self, handle: BinaryIO) -> None:
        self.handle, self.sha256 = handle, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self.handle.write(data)

    def flush(self) -> None:
        self.handle.flush()


class Checkpoints:
    """The last two checkpoints of one run that are whole, in folders named by step.

    A checkpoint is written beside its place, flushed to disk and renamed; it is used only if its SHA-256 and
    `fingerprint` fit. fingerprint: digest of everything that decides the result (specification, code, inputs).
    processes: those that train the run; each writes and reads a file of its own shards, the first does the rest.
    """

    def __init__(self, folder: str | Path, fingerprint: str, processes: SingleProcess | None = None) -> None:
        self.folder = Path(folder)
        self.fingerprint = fingerprint
        self.processes = processes or SingleProcess()
        self.torn: set[Path] = set()
        self.names = (
            [STATE] if self.processes.size == 1 else [f"state-{rank}.pt" for rank in range(self.processes.size)]
        )

    def _folders(self) -> list[Path]:
        """Existing checkpoints, the newest first; by number, since "step-950" sorts after "step-1138"."""
        found = [path for path in self.folder.glob("step-*") if path.name.removeprefix("step-").isdigit()]
        return sorted(found, key=_step, reverse=True)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Keep `state` (tensors and plain values) as the checkpoint after `step` steps, and the whole one before it."""
        part = self.folder / f"part-{step}"
        with disk_errors(self.folder):
            self.processes.first(lambda: _make_empty(part))
            digests = self.processes.each(lambda: self._write(part, self.processes.local(state)))
            self.processes.first(lambda: self._publish(part, step, dict(zip(self.names, digests, strict=True))))

    def _write(self, part: Path, state: dict[str, Any]) -> str:
        """Write this process's file; returns its SHA-256."""
        import torch

        with open(part / self.names[self.processes.rank], "wb") as handle:
            hashed = HashedWriter(handle)
            torch.save(state, hashed)
            handle.flush()
            os.fsync(handle.fileno())
        return hashed.sha256.hexdigest()

    def _publish(self, part: Path, step: int, digests: dict[str, str]) -> None:
        write_json(part / RECORD, {"step": step, "fingerprint": self.fingerprint, "sha256": digests})
        sync_folder(part)
        place = self.folder / f"step-{step}"
        shutil.rmtree(place, ignore_errors=True)
        os.replace(part, place)
        sync_folder(self.folder)
        # One that was found torn is no fallback, and a later one belongs to an attempt that was given up.
        self.torn.discard(place)
        earlier = [old for old in self._folders() if _step(old) <= step and old not in self.torn]
        for old in self._folders():
            if old not in earlier[:2]:
                shutil.rmtree(old, ignore_errors=True)

    def load(self, device: Any = "cpu") -> tuple[int, dict[str, Any]] | None:
        """Step and state of the newest checkpoint that is whole; None when there is none to continue from.

        Says which one was skipped, and why. Checkpoints of another specification, code or input are removed. Raises
        SdftError for one that another number of processes wrote.
        """
        import torch

        found = self.processes.first(self._choose)
        if found is None:
            return None
        place, step = found
        state = torch.load(place / self.names[self.processes.rank], map_location=device, weights_only=True)
        return step, state

    def _choose(self) -> tuple[Path, int] | None:
        """The checkpoint to continue from, and its step."""
        for part in self.folder.glob("part-*"):
            shutil.rmtree(part, ignore_errors=True)
        for place in self._folders():
            try:
                record = json.loads((place / RECORD).read_text(encoding="utf-8"))
                whole = all(sha256_file(place / name) == digest for name, digest in record["sha256"].items())
            except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
                # A disk that cannot be read is no torn checkpoint: days of training would begin anew.
                whole = False
            if not whole:
                say(f"{place} is torn; looking for the checkpoint before it")
                self.torn.add(place)
                continue
            if record["fingerprint"] != self.fingerprint:
                say(f"{place} belongs to other settings, code or data; starting afresh")
                self.clear()
                return None
            if list(record["sha256"]) != self.names:
                raise SdftError(
                    f"{place} was written by {len(record['sha256'])} processes, one a GPU, and this run has "
                    f"{len(self.names)}; continue with as many, or delete {self.folder} to start afresh."
                )
            return place, record["step"]
        return None

    def clear(self) -> None:
        """Remove all checkpoints."""
        for place in self._folders():
            shutil.rmtree(place, ignore_errors=True)


def _step(place: Path) -> int:
    return int(place.name.removeprefix("step-"))


def _make_empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def sync_folder(folder: str | Path) -> None:
    """Flush a folder's own entries, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
