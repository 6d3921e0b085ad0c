"""What failed steps said, for whoever looks at the terminal."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from sdft.common.errors import explained

FAILED = re.compile(r"^Error in rule (\w+):\n(?:.*\n)*?    log: (.+?)(?: \(check log file.*)?$", re.M)


def read_failures(*logs: str) -> list[str]:
    """One paragraph for each different error of the jobs that failed, by Snakemake's own `logs`.

    It is the last paragraph of the step's log that begins with "error:", where there is one, with the log's name. A log
    that could not be written is itself the error.
    """
    found: dict[str, str] = {}
    text = "\n".join(Path(path).read_text(errors="replace") for path in logs)
    for rule, names in FAILED.findall(text):
        for path in map(Path, names.split(", ")):
            said = path.read_text(errors="replace") if path.is_file() else ""
            start = said.rfind("\nerror: ") + 1 if "\nerror: " in said else 0
            if said[start:].startswith("error: "):
                paragraph = said[start:].split("\n\n")[0].strip()
                found.setdefault(paragraph, f"{paragraph}\n(rule {rule}, {path})")
            elif not said and (paragraph := _cannot_be_written(path)):
                found.setdefault(paragraph, f"{paragraph}\n(rule {rule}, {path})")
    return list(found.values())


def _cannot_be_written(path: Path) -> str | None:
    """What keeps a log from being written, None where nothing does."""
    try:
        with tempfile.TemporaryFile(dir=path.parent) as file:
            file.write(bytes(1 << 16))
            file.flush()
    except OSError as error:
        return f"error: {explained(error)}"
    return None
