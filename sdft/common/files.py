"""Files that are whole or absent, JSON, and digests of files and values."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import secrets
import socket
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError

PACKAGE = Path(__file__).parents[1]
ROOT = PACKAGE.parent
# Bytes from which on the digest of a file is remembered: weights, which a job looks at three or four times.
LARGE = 2**27
_DIGESTS: dict[tuple[int, ...], str] = {}


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it to disk and rename it, on failure remove it.

    Its name is of this process alone, on whichever machine or in whichever container.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield part
        with open(part, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(part, path)
    finally:
        # A file system that is gone must not hide why.
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` so that a reader sees the old file or the whole new one."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. Raises ValueError on NaN or infinity."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file. Raises SdftError naming the file when it is missing or not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SdftError(f"{path} does not exist; ask snakemake for it, or check the path.") from None
    except json.JSONDecodeError as error:
        raise SdftError(
            f"{path} is not valid JSON (line {error.lineno}: {error.msg}). If you wrote it, correct that line; if the "
            "workflow did, delete it and run the same command again, which makes it anew."
        ) from None


def write_packed(path: str | Path, value: Any) -> None:
    """Write `value` as compressed JSON, atomically; equal values give equal bytes."""
    with atomic_path(path) as part:
        part.write_bytes(gzip.compress(json.dumps(value, ensure_ascii=False).encode(), mtime=0))


def read_packed(path: str | Path) -> Any:
    """Read compressed JSON. Raises SdftError naming the file when it is missing or damaged."""
    try:
        return json.loads(gzip.decompress(Path(path).read_bytes()))
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise SdftError(f"{path} cannot be read ({error}); delete it and run the same command again.") from None


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits. A large one that has not changed is read once by a process."""
    found = os.stat(path)
    if found.st_size < LARGE:
        return _sha256(path)
    same = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if same not in _DIGESTS:
        _DIGESTS[same] = _sha256(path)
    return _DIGESTS[same]


def _sha256(path: str | Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def rows_sha256(rows: Iterable[Any]) -> str:
    """SHA-256 of JSON-serialisable rows in their order, whatever the order of their keys, as 64 hex digits."""
    whole = hashlib.sha256()
    for row in rows:
        text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        whole.update(text.encode() + b"\n")
    return whole.hexdigest()


def sha256_files(folder: str | Path) -> dict[str, str]:
    """SHA-256 of every file directly in `folder`, by name in sorted order."""
    return {path.name: sha256_file(path) for path in sorted(Path(folder).iterdir()) if path.is_file()}


def check_sha256(folder: str | Path, expected: dict[str, str]) -> None:
    """Raise SdftError naming the first file in `folder` that is missing or whose SHA-256 is not the expected one."""
    for name, digest in expected.items():
        path = Path(folder) / name
        if not path.exists():
            raise SdftError(f"{path} is missing; restore it, or delete the folder's record and make it again.")
        found = sha256_file(path)
        if found != digest:
            raise SdftError(
                f"{path} has sha256 {found} but {digest} was recorded, so the file is truncated or was changed; "
                "restore the file (git checkout, or download it again), or delete it and run the same command again."
            )


def digest(value: Any, length: int = 8) -> str:
    """First `length` hex digits of the SHA-256 of a JSON-serialisable value in canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
