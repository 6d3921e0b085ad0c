"""What an evaluation yields, and its files: one JSON a benchmark and one line an item, in one deterministic archive."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sdft.common.files import atomic_path, write_json


@dataclass(frozen=True)
class Result:
    """One benchmark's outcome.

    value: the headline metric, a fraction in [0, 1]; metrics: every metric measured, headline included;
    items: one dict an item with "id", "correct" (0, 1 or a fraction) and "response", in the benchmark's own order.
    """

    benchmark: str
    metric: str
    value: float
    metrics: dict[str, Any]
    items: list[dict[str, Any]]

    @property
    def n(self) -> int:
        return len(self.items)


class State:
    """Finished benchmarks of an evaluation, so that repeating it measures none of them again.

    Snakemake deletes a job's outputs when it starts the job once more, for example because a file that it reads has
    been damaged or touched; what was measured stays here. An entry counts only under the key it was saved with: a
    digest of the code, the model, the data and the settings.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def load(self, benchmark: str, key: str) -> tuple[Result, dict[str, Any]] | None:
        """The saved result and its manifest, or None where there is none, it is damaged, or the key differs."""
        try:
            saved = json.loads((self.folder / f"{benchmark}.json").read_text(encoding="utf-8"))
            return (Result(**saved["result"]), saved["manifest"]) if saved["key"] == key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, key: str, result: Result, manifest: dict[str, Any]) -> None:
        """Keep one finished benchmark."""
        saved = {"key": key, "result": asdict(result), "manifest": manifest}
        write_json(self.folder / f"{result.benchmark}.json", saved)


def write_results(out: str | Path, finished: list[tuple[Result, dict[str, Any]]]) -> None:
    """Write {benchmark}.json for each (result, manifest) and responses.jsonl.gz for all, each file atomically."""
    out = Path(out)
    lines = []
    for result, _ in sorted(finished, key=lambda pair: pair[0].benchmark):
        for item in result.items:
            lines.append(json.dumps({"benchmark": result.benchmark, **item}, ensure_ascii=False) + "\n")
    with atomic_path(out / "responses.jsonl.gz") as part:
        part.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))
    for result, manifest in finished:
        summary = {
            "benchmark": result.benchmark,
            "n": result.n,
            "metric": result.metric,
            "value": result.value,
            "metrics": result.metrics,
            "manifest": manifest,
        }
        write_json(out / f"{result.benchmark}.json", summary)
