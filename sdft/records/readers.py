"""Reading rows of published files, and refusing loudly what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError
from sdft.common.files import parse_json

KINDS = {str: "a string", list: "a list"}


def read_rows(path: str | Path) -> list[dict[str, Any]]:
    """Rows of an arrow folder (as `datasets` saves it), a parquet file, or a JSON file with a list of objects."""
    path = Path(path)
    if not path.exists():
        raise SdftError(f"{path} does not exist; download the official data, or check the path.")
    if path.is_dir():
        rows = _read_arrow(path)
    elif path.suffix == ".parquet":
        rows = _read_parquet(path)
    else:
        try:
            rows = parse_json(path.read_bytes())
        except (ValueError, OSError) as error:
            raise SdftError(f"{path} is not a JSON file ({error}); download it again, or check the path.") from None
    if not isinstance(rows, list) or not rows:
        raise SdftError(f"{path} must hold a non-empty list of rows; download it again, or check the path.")
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise refuse(path, number, "the row is not an object")
    return rows


def _read_arrow(path: Path) -> list[dict[str, Any]]:
    from datasets import load_from_disk

    try:
        dataset = load_from_disk(str(path))
        return dataset.to_list()
    except Exception as error:
        raise SdftError(
            f"{path} cannot be read as a data set saved by the datasets library ({error}); it should hold "
            "dataset_info.json, state.json and data-*.arrow. Download it again, or check the path."
        ) from None


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        # Not through `datasets`, which would copy the whole file into a cache of its own.
        return parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise SdftError(
            f"{path} cannot be read as a parquet file ({' '.join(str(error).split())[:200]}); it is damaged or cut "
            "off. Delete it and download it again, or check the path."
        ) from None


def refuse(path: str | Path, number: int, reason: str) -> SdftError:
    """The error for row `number`, counted from 0 as the files' own indices are."""
    return SdftError(
        f"{path}, row {number} (from 0): {reason}; this is not the official schema. Download the file again, or "
        "convert it to a records file (.jsonl)."
    )


def field(path: str | Path, number: int, row: dict[str, Any], name: str, kind: type) -> Any:
    """A row's field of the given kind, not empty if it is text."""
    if name not in row:
        raise refuse(path, number, f"the field {name!r} is missing (the row has {', '.join(sorted(row))})")
    if not isinstance(row[name], kind) or (isinstance(row[name], str) and not row[name].strip()):
        raise refuse(path, number, f"the field {name!r} must be {KINDS[kind]} and not empty")
    return row[name]


def messages(path: str | Path, number: int, row: dict[str, Any], name: str) -> list[dict[str, str]]:
    """A row's chat messages, reduced to role and content; the last one must be the user's."""
    found = []
    for message in field(path, number, row, name, list):
        if not isinstance(message, dict) or not all(isinstance(message.get(key), str) for key in ("role", "content")):
            raise refuse(path, number, f"each message of {name!r} must hold 'role' and 'content' as strings")
        found.append({"role": message["role"], "content": message["content"]})
    if not found or found[-1]["role"] != "user":
        raise refuse(path, number, f"the last message of {name!r} must be the user's")
    return found
