"""Where each key of the configuration stands, with the comment above it, so that a word finds it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from sdft.study.values import FOLDER, Loader, Values, beside, complete, read_yaml, scale_files

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Entry:
    """A key of a configuration file. comment: what stands above it; value: its text, empty for a block of lines."""

    key: Key
    file: str
    line: int
    comment: str
    value: str = ""


def dotted(key: Sequence[str | int]) -> str:
    """A key with all that it is in, as messages show it."""
    return ".".join(map(str, key))


def study_files(path: Path) -> list[tuple[Path, Key]]:
    """The files of a configuration, each with the key that it stands for: the file itself, then those of the scales."""
    scales = {file.resolve(): (file, ("scales", name)) for name, file in scale_files(FOLDER).items()}
    scales |= {file.resolve(): (file, ("scales", name)) for name, file in scale_files(beside(path)).items()}
    return [*([(path, ())] if path.is_file() else []), *scales.values()]


def entries(file: Path, prefix: Key = ()) -> list[Entry]:
    """Every key of a file, in order; the first stands for the whole file, with the comment at its head."""
    text = file.read_text(encoding="utf-8")
    lines = text.split("\n")
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    name, head = os.path.relpath(file), [line for line in lines[:end] if "yaml-language-server" not in line]
    found = _below(yaml.compose(text, Loader=Loader), prefix, name, lines, end)
    return [Entry(prefix, name, 1, _words(head)), *found]


def _words(comment: Sequence[str]) -> str:
    return "\n".join(line.strip().removeprefix("#").strip() for line in comment)


def _below(node: Any, prefix: Key, file: str, lines: list[str], head: int) -> Iterator[Entry]:
    """The keys in a YAML node. head: lines of the comment at the head of the file."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _below(item, (*prefix, number), file, lines, head)
    for name, value in pairs:
        if name.tag == "tag:yaml.org,2002:merge":
            yield from _below(value, prefix, file, lines, head)
            continue
        first = above = name.start_mark.line
        # A comment is of the key below it that is the first of its line.
        if not lines[first][: name.start_mark.column].strip():
            while above > head and lines[above - 1].lstrip().startswith("#"):
                above -= 1
        block = isinstance(value, yaml.CollectionNode) and not value.flow_style
        shown = "" if block else _text(value, lines)
        yield Entry((*prefix, name.value), file, first + 1, _words(lines[above:first]), shown)
        yield from _below(value, (*prefix, name.value), file, lines, head)


def _text(node: Any, lines: list[str]) -> str:
    start, end = node.start_mark, node.end_mark
    parts = lines[start.line : end.line + 1]
    parts[-1] = parts[-1][: end.column]
    parts[0] = parts[0][start.column :]
    return " ".join(part.strip() for part in parts)


def place(key: str, path: Path) -> str:
    """FILE:LINE of a dotted key of a configuration, or of the nearest one above it; empty where no file has either."""
    best, found = "", ""
    for file, prefix in study_files(path):
        for entry in entries(file, prefix):
            name = dotted(entry.key)
            if len(name) > len(best) and f"{key}.".startswith(f"{name}."):
                best, found = name, f"{entry.file}:{entry.line}"
    return found


def find(words: Sequence[str], path: Path) -> str:
    """Every key whose name, comment or value has all the words, and what a key of that name is at each scale."""
    everything = [entry for file, prefix in study_files(path) for entry in entries(file, prefix)]
    patterns = [
        re.compile(re.escape(word) + (r"(?!\d)" if word[-1:].isdigit() else ""), re.IGNORECASE) for word in words
    ]
    found: dict[tuple[str, int], Entry] = {}
    for entry in everything:
        if all(_mentions(entry, pattern) for pattern in patterns):
            # The first of a line shows the others.
            found.setdefault((entry.file, entry.line), entry)
    blocks = list(map(_shown, found.values()))
    if len(words) == 1 and (values := _at_each_scale(words[0], complete(read_yaml(path), beside(path)))):
        blocks.append(values)
    return "\n\n".join(blocks) or _nothing(words, everything)


def _mentions(entry: Entry, pattern: re.Pattern[str]) -> bool:
    name = dotted(entry.key) if "." in pattern.pattern else str(entry.key[-1]) if entry.key else ""
    return any(pattern.search(text) for text in (name, entry.comment.replace("\n", " "), entry.value))


def _shown(entry: Entry) -> str:
    comment = [f"    # {line}" for line in entry.comment.split("\n") if line]
    return "\n".join(
        [f"{entry.file}:{entry.line}  {dotted(entry.key)}", *comment, *([f"    {entry.value}"] * bool(entry.value))]
    )


def _at_each_scale(name: str, values: Values) -> str:
    """What the key of a name is at each scale, in each block that has it; empty where no scale has it."""
    rows = []
    for scale, entry in values["scales"].items():
        places: dict[str, list[str]] = {}
        for key, value in _leaves({part: block for part, block in entry.items() if part != "grids"}):
            if key[-1] == name:
                places.setdefault(str(value), []).append(dotted(key[:-1]) or "the scale")
        rows += [f"    {scale}: {value} in {', '.join(where)}" for value, where in places.items()]
    top = {part: block for part, block in values.items() if part != "scales"}
    rows += [f"    elsewhere: {value}, from config.yaml" for key, value in _leaves(top) if key[-1] == name and rows]
    return "\n".join([f"{name} at each scale:", *rows]) if rows else ""


def _leaves(node: Any, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _leaves(value, (*key, name))
    elif key:
        yield key, node


def _nothing(words: Sequence[str], everything: Sequence[Entry]) -> str:
    known = {str(entry.key[-1]) for entry in everything if entry.key}
    known |= {word for entry in everything for word in re.findall(r"[^\W\d_]{4,}", entry.comment)}
    near = dict.fromkeys(name for word in words for name in get_close_matches(word, sorted(known), n=4))
    asked = " and ".join(map(repr, words))
    return f"No key, comment or value has {asked}. Near it: {', '.join(near) or 'nothing; look through config.yaml'}."
