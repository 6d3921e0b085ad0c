"""What a long measurement has so far, so that repeating an interrupted command continues it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sdft.provenance import write_text


class Partial:
    """Rows kept beside a result that is not finished, in `{out}.partial`, one JSON value a line.

    key: a digest of all that decides the rows; rows kept under another key, or cut off in the middle, are dropped.
    """

    def __init__(self, out: str | Path, key: str) -> None:
        self.path = Path(f"{out}.partial")
        self.rows: list[Any] = []
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.is_file() else ""
        for number, line in enumerate(text.splitlines()):
            try:
                row = json.loads(line)
            except ValueError:
                break
            if number == 0 and row != {"key": key}:
                break
            if number:
                self.rows.append(row)
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in ({"key": key}, *self.rows)))

    def add(self, rows: list[Any]) -> None:
        """Keep some more rows."""
        self.rows += rows
        with open(self.path, "a", encoding="utf-8") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))

    def clear(self) -> None:
        """Forget everything; called once the result is in place."""
        self.path.unlink(missing_ok=True)
