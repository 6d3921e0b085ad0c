"""Files that are whole or absent, JSON, and digests of files and values."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
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


def by_umask(folder: str | Path) -> None:
    """Give the weights just written into a folder the rights of the user's umask; safetensors gives others none."""
    umask = os.umask(0o077)
    os.umask(umask)
    for path in Path(folder).glob("*.safetensors"):
        path.chmod(0o666 & ~umask)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` so that a reader sees the old file or the whole new one."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. Raises ValueError on NaN or infinity."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def parse_json(text: str | bytes) -> Any:
    """The value of JSON text.

    Raises ValueError, in words for a reader, for bytes that are not UTF-8, for what is no JSON, for a number that is
    none or infinite, for a key that stands twice in an object, for brackets nested beyond reason, and for half of a
    surrogate pair, which no file can hold.
    """
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        value = json.loads(text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_once)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8 text") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair") from None
    except RecursionError:
        raise ValueError("its brackets are nested too deep") from None
    return value


def _finite(text: str) -> float:
    if math.isfinite(number := float(text)):
        return number
    raise ValueError(f"{text} is not a finite number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(
            f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice in one object"
        )
    return found


AGAIN = "if you wrote it, mend it; if the workflow did, delete it and run the same command again"


def read_json(path: str | Path, remedy: str = AGAIN) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises SdftError naming the file when it is missing or holds anything else; the `remedy` ends what it says of a
    damaged file.
    """
    try:
        value = parse_json(Path(path).read_bytes())
    except FileNotFoundError:
        raise SdftError(f"{path} does not exist; ask snakemake for it, or check the path.") from None
    except OSError as error:
        raise SdftError(f"{path} cannot be read ({error.strerror}); check the path and its permissions.") from None
    except ValueError as error:
        raise SdftError(f"{path} is not valid JSON ({error}); {remedy}.") from None
    if not isinstance(value, dict):
        raise SdftError(f"{path} holds no JSON object; {remedy}.")
    return value


def write_packed(path: str | Path, value: Any) -> None:
    """Write `value` as compressed JSON, atomically; equal values give equal bytes."""
    with atomic_path(path) as part:
        part.write_bytes(gzip.compress(json.dumps(value, ensure_ascii=False).encode(), mtime=0))


def read_packed(path: str | Path) -> Any:
    """Read compressed JSON. Raises SdftError naming the file when it is missing or damaged (see `parse_json`)."""
    try:
        return parse_json(gzip.decompress(Path(path).read_bytes()))
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise SdftError(f"{path} cannot be read ({error}); {AGAIN}.") from None


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


def listed(path: str | Path) -> dict[str, Any]:
    """What the manifest.json beside a file says of it: its `sha256` and `rows`; empty where it says nothing.

    Raises SdftError for a damaged manifest.
    """
    path = Path(path)
    manifest = path.with_name("manifest.json")
    entry = read_json(manifest).get("files", {}) if manifest.is_file() else {}
    entry = entry.get(path.name, {}) if isinstance(entry, dict) else None
    if not isinstance(entry, dict):
        raise SdftError(f"{manifest} does not list its files by name; {AGAIN}.")
    return entry


def check_listed(path: str | Path) -> None:
    """Raise SdftError where a file is not the one that the manifest.json beside it lists."""
    entry = listed(path)
    if "sha256" in entry:
        check_sha256(Path(path).parent, {Path(path).name: entry["sha256"]})


def digest(value: Any, length: int = 8) -> str:
    """First `length` hex digits of the SHA-256 of a JSON-serialisable value in canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
