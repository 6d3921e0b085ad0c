"""A task's data: one JSON object a line, checked row by row on the way in and on the way out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError, no_file
from sdft.common.files import check_listed, listed, parse_json, write_text

FIELDS = ("id", "prompt", "demonstrations", "answer", "meta")


@dataclass(frozen=True)
class Record:
    """One item of a task.

    prompt: chat messages {"role", "content"}: any system turns, then the others, the last one the user's.
    demonstrations: expert responses by style; empty where the data have none.
    answer: the gold answer in the form the task's scorer reads, None where a record only asks (general prompts).
    meta: anything worth keeping. Steps read one key of it: `cluster` names what a question is about. Questions about
        one and the same thing are answered alike, so intervals count them as one (sdft/statistics.py).
    """

    id: str
    prompt: list[dict[str, str]]
    demonstrations: dict[str, str] = field(default_factory=dict)
    answer: Any = None
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def about(self) -> dict[str, str]:
        """{"cluster": ...} for an item's outcome; empty where the record does not say what it is about."""
        return {"cluster": str(self.meta["cluster"])} if self.meta.get("cluster") is not None else {}

    def demonstration(self, style: str) -> str:
        """The demonstration of one style. Raises SdftError naming the record when it has none of that style."""
        if style not in self.demonstrations:
            have = ", ".join(sorted(self.demonstrations)) or "none"
            raise SdftError(
                f"record {self.id!r} has no demonstration of style {style!r} (it has: {have}); choose one of those "
                "styles, or make the data again with that style."
            )
        return self.demonstrations[style]


def fault(row: Any) -> str | None:
    """What keeps a decoded JSON value from being a Record, in words; None when it is one."""
    if not isinstance(row, dict):
        return f"a row must be a JSON object, not {type(row).__name__}"
    if missing := [name for name in ("id", "prompt") if name not in row]:
        return f"the field {missing[0]!r} is missing"
    if unknown := sorted(set(row) - set(FIELDS)):
        return f"the field {unknown[0]!r} is unknown"
    if not isinstance(row["id"], str) or not row["id"]:
        return "'id' must be a non-empty string"
    prompt = row["prompt"]
    if not isinstance(prompt, list) or not prompt:
        return "'prompt' must be a non-empty list of messages"
    for message in prompt:
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            return "each message of 'prompt' must have exactly the fields 'role' and 'content'"
        if message["role"] not in ("system", "user", "assistant"):
            return f"the role {message['role']!r} of a message is none of system, user, assistant"
        if not isinstance(message["content"], str):
            return "the content of a message must be a string"
    if prompt[-1]["role"] != "user":
        return "the last message of 'prompt' must be the user's"
    if not prompt[-1]["content"].strip():
        return "the last message of 'prompt' is empty"
    demonstrations = row.get("demonstrations", {})
    if not isinstance(demonstrations, dict) or not all(isinstance(text, str) for text in demonstrations.values()):
        return "'demonstrations' must map styles to strings"
    if empty := [style for style, text in demonstrations.items() if not text.strip()]:
        # A model that is trained on it would learn to end at once.
        return f"the demonstration {empty[0]!r} is empty; leave it out where there is none"
    if not isinstance(row.get("meta", {}), dict):
        return "'meta' must be an object"
    return None


def read_records(path: str | Path) -> list[Record]:
    """Read a records file.

    Raises SdftError naming file and line at the first row that is not a whole Record, and where the manifest.json
    beside the file lists another number of rows or another SHA-256.
    """
    path = Path(path)
    if not path.is_file():
        raise SdftError(f"{no_file(path)}; check the path, or ask snakemake for it if it is a file of the study.")

    def refuse(number: int, reason: str) -> SdftError:
        return SdftError(
            f"{path}:{number}: {reason}. If you wrote the file, mend the line (sdft/records/jsonl.py shows the form of "
            "a row); if the workflow did, restore it, or delete it and run the same command again, which makes it anew."
        )

    records, seen = [], {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            row = parse_json(line)
        except ValueError as error:
            raise refuse(number, f"the line is not valid JSON ({error})") from None
        if reason := fault(row):
            raise refuse(number, reason)
        if row["id"] in seen:
            raise refuse(number, f"the id {row['id']!r} was already used on line {seen[row['id']]}")
        seen[row["id"]] = number
        records.append(Record(**row))
    if not records:
        raise refuse(1, "the file holds no rows")
    rows = listed(path).get("rows", len(records))
    if rows != len(records):
        listing = path.with_name("manifest.json")
        raise refuse(len(records), f"the file ends here, and {listing} says that it has {rows} rows")
    check_listed(path)
    return records


def write_records(path: str | Path, records: Iterable[Record]) -> None:
    """Write records atomically, one JSON object a line. Raises SdftError before writing if a row is not valid."""
    lines, seen = [], set()
    for number, record in enumerate(records, start=1):
        row = asdict(record)
        reason = fault(row) or (f"the id {record.id!r} is used twice" if record.id in seen else None)
        if reason:
            raise SdftError(f"row {number} for {path} is not a valid record: {reason}; mend what makes this row.")
        seen.add(record.id)
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    write_text(path, "".join(lines))
