"""What an evaluation yields, and its files: one JSON a benchmark and one line an item, in one deterministic archive."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError
from sdft.common.files import atomic_path, read_packed, rows_sha256, write_json, write_packed
from sdft.common.stop import progressed


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
    been damaged or touched; what was measured stays here, in one file a benchmark. It has two keys: `made`, of how the
    model's replies came about (the code, the model, the questions, the settings), and `scored`, of what turns them into
    a score. Where only the second is another, the replies are good for scoring them again.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def result(self, benchmark: str, made: str, scored: str) -> tuple[Result, dict[str, Any]] | None:
        """The saved result and its manifest, or None where there is none, it is damaged, or a key differs."""
        saved = self._read(benchmark, made)
        try:
            return (Result(**saved["result"]), saved["manifest"]) if saved["scored"] == scored else None
        except (KeyError, TypeError):
            return None

    def replies(self, benchmark: str, made: str) -> Any:
        """What the model replied, as it was saved; None where there is nothing, it is damaged, or the key differs."""
        return self._read(benchmark, made).get("replies")

    def save(self, made: str, scored: str, result: Result, manifest: dict[str, Any], replies: Any = None) -> None:
        """Keep one finished benchmark."""
        keys = {"made": made, "scored": scored}
        saved = {**keys, "result": asdict(result), "manifest": manifest, "replies": replies}
        write_packed(self._path(result.benchmark), saved)
        progressed()

    def keep_replies(self, benchmark: str, made: str, replies: Any) -> None:
        """Keep the replies of a benchmark that is not scored: those so far, or all where that could not be done."""
        write_packed(self._path(benchmark), {"made": made, "replies": replies})
        progressed()

    def _path(self, benchmark: str) -> Path:
        return self.folder / f"{benchmark}.json.gz"

    def _read(self, benchmark: str, made: str) -> dict[str, Any]:
        try:
            saved = read_packed(self._path(benchmark))
            return saved if saved["made"] == made else {}
        except (SdftError, KeyError, TypeError):
            return {}


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
            "responses_sha256": rows_sha256({"benchmark": result.benchmark, **item} for item in result.items),
            "manifest": manifest,
        }
        write_json(out / f"{result.benchmark}.json", summary)
