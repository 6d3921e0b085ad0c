"""Rows of one's own: a file with a JSON object a line becomes Records.

A row has a question, and where it can an expert's demonstration and the gold answer:

    {"prompt": "Which court ...?", "demonstration": "The Court of ... since ...", "answer": "the Court of Appeal"}

prompt: text, or chat messages {"role", "content"} of which the last is the user's. demonstration: text, or an object
of texts by style; without one the row can be asked but not trained on. answer: what the task's scorer compares with;
without one the row can be trained on but not scored. id: text or a number; the line's number where it is left out.
meta: an object, kept with the record; further fields are kept in it too.

The forms that TRL's trainers take are read as well. `completion` (text, or one assistant's message) stands for the
demonstration, as does the last one of `messages`, where it is the assistant's. A row may have both a completion, which
supervised training imitates, and a demonstration, which a teacher is shown (`privileged_context` in TRL): the
completion then has a style of its own, "completion".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError, no_file
from sdft.common.files import listed, parse_json
from sdft.records.record import Record, fault, read_records

# The style of a demonstration whose row names none. Preparing a scale's data renames it to the scale's style.
UNNAMED = "unnamed"
# The style of a completion beside which a row has a demonstration.
COMPLETION = "completion"
SHOWN = ("demonstration", "demonstrations", "privileged_context")
KNOWN = ("id", "prompt", "messages", *SHOWN, COMPLETION, "answer", "meta")


def load(path: str | Path) -> list[Record]:
    """Records of a .jsonl file, one a line; blank lines are passed over.

    A demonstration whose style the row does not name has the style `UNNAMED`. Raises SdftError naming file, line and
    field where a row does not have the form above, and for an id that is used twice.
    """
    return [record for _, record in load_numbered(path)]


def load_numbered(path: str | Path) -> list[tuple[int, Record]]:
    """Records as `load` reads them, each with the number of its line, counted from 1."""
    path = Path(path)
    if path.suffix != ".jsonl":
        raise SdftError(
            f"{path} is not a .jsonl file (a JSON object a line), and this task has no official files of another form; "
            "convert it."
        )
    if not path.is_file():
        raise SdftError(f"{no_file(path)}; check the path, or ask snakemake for it if it is a file of the study.")
    # A step of this project wrote it, so a damaged row is restored and not mended by hand.
    if listed(path):
        return list(enumerate(read_records(path), start=1))
    found: dict[str, tuple[int, Record]] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            raise refuse(path, number, f"the line is not a JSON object in UTF-8 ({error})") from None
        try:
            record = _record(row, f"{path.stem}-{number}")
        except ValueError as error:
            raise refuse(path, number, str(error)) from None
        if record.id in found:
            raise refuse(path, number, f"the field 'id' is {record.id!r}, which an earlier line has too")
        found[record.id] = number, record
    if not found:
        raise SdftError(f"{path} holds no rows; give one JSON object a line.")
    return list(found.values())


def refuse(path: str | Path, number: int, reason: str) -> SdftError:
    """The error for a row of one's own that does not fit."""
    return SdftError(f"{path}:{number}: {reason}. Mend the line; docs/own-data.md shows the forms of a row.")


def _record(row: Any, name: str) -> Record:
    """The Record that a decoded line is. Raises ValueError naming the field that is wrong."""
    if not isinstance(row, dict):
        raise ValueError("the row is not an object in braces")
    if ("prompt" in row) == ("messages" in row):
        raise ValueError(f"give the field 'prompt' or 'messages' (the row has {', '.join(sorted(row)) or 'none'})")
    prompt, said = (_prompt(row["prompt"]), None) if "prompt" in row else _conversation(row["messages"])
    shown = [key for key in SHOWN if row.get(key) not in (None, {})]
    done = [key for key in (COMPLETION,) if row.get(key) not in (None, {})] + (["messages"] if said is not None else [])
    for kind, places in (("demonstration", shown), ("completion", done)):
        if len(places) > 1:
            raise ValueError(f"the {kind} is given twice ({', '.join(places)})")
    demonstrations = _demonstrations(row[shown[0]], shown[0]) if shown else {}
    if done:
        text = said if said is not None else _demonstrations(row[COMPLETION], COMPLETION)[UNNAMED]
        demonstrations[COMPLETION if demonstrations else UNNAMED] = text
    if not isinstance(row.get("meta") or {}, dict):
        raise ValueError("the field 'meta' must be an object")
    further = {key: value for key, value in row.items() if key not in KNOWN}
    identifier = row.get("id", name)
    if isinstance(identifier, bool) or not isinstance(identifier, str | int) or identifier == "":
        raise ValueError("the field 'id' must be text or a number")
    content = {"id": str(identifier), "prompt": prompt, "demonstrations": demonstrations, "answer": row.get("answer")}
    content["meta"] = {**(row.get("meta") or {}), **further}
    if reason := fault(content):
        raise ValueError(reason)
    return Record(**content)


def _prompt(value: Any) -> list[dict[str, str]]:
    return [{"role": "user", "content": value}] if isinstance(value, str) and value.strip() else _turns(value, "prompt")


def _turns(value: Any, key: str) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        allowed = "text or a list" if key == "prompt" else "a list"
        raise ValueError(f"the field {key!r} must be {allowed} of chat messages, and not empty")
    return [_message(message, key) for message in value]


def _conversation(value: Any) -> tuple[list[dict[str, str]], str | None]:
    """The prompt of a conversation and, where the assistant speaks last, what it says."""
    turns = _turns(value, "messages")
    return (turns[:-1], turns[-1]["content"]) if turns[-1]["role"] == "assistant" else (turns, None)


def _message(message: Any, key: str) -> dict[str, str]:
    if not isinstance(message, dict) or not all(isinstance(message.get(part), str) for part in ("role", "content")):
        raise ValueError(f"each message of the field {key!r} must have 'role' and 'content' as text")
    return {"role": message["role"], "content": message["content"]}


def _demonstrations(value: Any, key: str) -> dict[str, str]:
    if isinstance(value, str) and value.strip():
        return {UNNAMED: value}
    named = key in ("demonstration", "demonstrations") and isinstance(value, dict) and value
    if named and all(isinstance(text, str) and text.strip() for text in value.values()):
        return dict(value)
    if key in (COMPLETION, "privileged_context"):
        if isinstance(value, list) and len(value) == 1:
            return {UNNAMED: _message(value[0], key)["content"]}
        raise ValueError(f"the field {key!r} must be text, or a list of one chat message, and not empty")
    raise ValueError(f"the field {key!r} must be text, or an object of texts by style, and not empty")
