"""What a long measurement has so far, so that repeating an interrupted command continues it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError
from sdft.common.files import parse_json, read_json, write_json, write_text
from sdft.common.locks import only_writer
from sdft.common.stop import progressed


class Partial:
    """Rows of a result that is not finished, in `{out}.state/rows.jsonl`, a block of rows a line.

    key: a digest of all that decides the rows; names: what the rows are called, in order, in their field `field`.
    A file with another key is ignored. Reading stops at the first line that is cut off or does not hold the block that
    comes next. A block is kept or dropped as a whole, since its rows were sampled together.
    """

    def __init__(self, out: str | Path, key: str, field: str, names: Sequence[Any]) -> None:
        self.out, self.key = Path(out), key
        self.path = Path(f"{out}.state") / "rows.jsonl"
        self.rows: list[Any] = []
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.is_file() else ""
        head = json.dumps({"key": key})
        whole = [head]
        for line in text.splitlines()[1:] if text.startswith(f"{head}\n") else []:
            try:
                block = parse_json(line)
                found = [row[field] for row in block]
            except (ValueError, KeyError, TypeError):
                break
            start = len(self.rows)
            if not found or found != list(names[start : start + len(found)]):
                break
            self.rows += block
            whole.append(line)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, "".join(f"{line}\n" for line in whole))

    def add(self, rows: list[Any]) -> None:
        """Keep one more block."""
        self.rows += rows
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(rows) + "\n")
        progressed()

    def finish(self, content: dict[str, Any]) -> None:
        """Write the result and forget the rows."""
        write_json(self.out, {**content, "key": self.key})
        self.path.unlink(missing_ok=True)


@contextmanager
def measuring(
    out: str | Path, key: str, field: str, names: Sequence[Any], wait_minutes: float
) -> Iterator[Partial | None]:
    """The rows so far (see `Partial`), for the only process that measures into `out`; None when `out` is finished.

    SLURM may start a second copy of a job on another node while the first still runs, and Snakemake deletes the result
    when it starts one. The second waits here, for at most `wait_minutes`, and then finds what the first has made.
    """
    with only_writer(f"{out}.state", wait_minutes):
        yield None if _finished(Path(out), key) else Partial(out, key, field, names)


def _finished(out: Path, key: str) -> bool:
    try:
        record = read_json(out)
    except SdftError:
        return False
    return isinstance(record, dict) and record.get("key") == key
