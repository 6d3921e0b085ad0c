"""`python -m sdft.pages.released`: the authors' released checkpoints beside the numbers that the paper prints for SDFT.

The weights are theirs and only the evaluation is ours, so a row is FROM RELEASE: it tests the evaluation, and says
nothing about the training. Whether a released checkpoint is the one behind a printed number is not known.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdft.common.errors import SdftError, run_main
from sdft.common.files import read_json, sha256_file, write_json, write_text
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.evidence.names import METHOD_NAMES, METRIC_NAMES, METRICS, PRIOR, TASK_NAMES
from sdft.evidence.outcomes import Scores
from sdft.evidence.published import lookup
from sdft.pages.writers import comma_separated, markdown_table, value_text
from sdft.records.record import read_records
from sdft.statistics import average_interval

LEVEL = 0.95
# Half a unit of the last printed digit, in percentage points.
ROUNDING = 0.05
NO_EVIDENCE = "random weights stand in for the released ones: this proves the wiring and nothing else"
COLUMNS = ("checkpoint", "task", "metric", "published", "mean", "low", "high", "n_items", "verdict", "reading", "note")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.pages.released",
        description=__doc__.split("\n")[0],
        epilog="example: python -m sdft.pages.released --plan PLAN.json --out /tmp/released",
    )
    parser.add_argument("--plan", required=True, help="PLAN.json that names the checkpoints and their scores")
    parser.add_argument("--out", required=True, help="folder for table.csv, table.md and verdict.json")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    clock, plan, out = Clock(), read_json(options.plan), Path(options.out)
    try:
        rows = [row for checkpoint in plan["checkpoints"] for row in checkpoint_rows(checkpoint, plan["evidence"])]
    except KeyError as error:
        raise SdftError(f"{options.plan} is not the plan of released checkpoints ({error} is missing).") from None
    files = {str(path): sha256_file(path) for entry in plan["checkpoints"] for path in _files(entry)}
    verdict = {
        "table": "released",
        "scale": plan["scale"],
        "notice": NO_EVIDENCE if plan["evidence"] != "paper" else "Their weights, our evaluation; nothing was trained.",
        "unit": "percent",
        "level": LEVEL,
        "checkpoints": {entry["name"]: entry["from"] for entry in plan["checkpoints"]},
        "rows": rows,
        "manifest": manifest("released", clock=clock, inputs=files),
    }
    write_text(out / "table.csv", comma_separated(rows, COLUMNS))
    write_text(out / "table.md", markdown(verdict))
    write_json(out / "verdict.json", verdict)


def _files(checkpoint: dict[str, Any]) -> list[Path]:
    return sorted(path for path in Path(checkpoint["scores"]).glob("*") if path.is_file())


def checkpoint_rows(checkpoint: dict[str, Any], evidence: str) -> list[dict[str, Any]]:
    """One row a metric, and one more for each version of the test set. A score that is missing is NOT RUN."""
    task, scores = checkpoint["task"], Scores(checkpoint["scores"])
    rows = []
    for metric in METRICS:
        names = list(PRIOR) if metric == "prior_average" else [task if metric == "new_task" else metric]
        groups = [scores[name].outcomes[None, :] for name in names] if all(name in scores for name in names) else None
        rows.append(_row(checkpoint, metric, groups, evidence))
    order = [record.id for record in read_records(checkpoint["data"])] if Path(checkpoint["data"]).is_file() else []
    for count in checkpoint["versions"]:
        if task not in scores or count >= len(order):
            continue
        chosen = np.isin(scores[task].ids, order[:count])
        row = _row(checkpoint, "new_task", [scores[task].outcomes[None, chosen]], evidence)
        rows.insert(1, row | {"note": f"the first {count} rows, the test set of another release"})
    return rows


def _row(checkpoint: dict[str, Any], metric: str, groups: list[np.ndarray] | None, evidence: str) -> dict[str, Any]:
    published = lookup("table5", checkpoint["task"], checkpoint["method"], metric)
    row = {
        "checkpoint": checkpoint["name"],
        "task": checkpoint["task"],
        "method": checkpoint["method"],
        "metric": metric,
        "published": published.value if published else None,
        "mean": None,
        "low": None,
        "high": None,
        "n_items": 0,
        "verdict": "NOT RUN",
        "reading": "no score file; ask snakemake for it",
        "note": (published.note or "") if published else "",
    }
    if groups is None:
        return row
    interval = average_interval(groups, LEVEL).scaled(100)
    row |= {
        "mean": round(interval.mean, 3),
        "low": round(interval.low, 3),
        "high": round(interval.high, 3),
        "n_items": interval.n_items,
    }
    if evidence != "paper":
        return row | {"verdict": "INCOMPARABLE", "reading": NO_EVIDENCE}
    return row | {"verdict": "FROM RELEASE", "reading": reading(row)}


def reading(row: dict[str, Any]) -> str:
    """How a score of released weights lies to the printed one; the interval covers the choice of items alone."""
    if row["published"] is None:
        return "the paper prints no such number"
    difference = row["mean"] - row["published"]
    if abs(difference) <= ROUNDING:
        return "the printed number"
    if row["low"] - ROUNDING <= row["published"] <= row["high"] + ROUNDING:
        return f"{difference:+.1f} points, within the sampling error of the items"
    return f"{difference:+.1f} points, outside it: look at the base row (target gate) before anything is trained"


def markdown(verdict: dict[str, Any]) -> str:
    """table.md: a line a number, with the paper's beside it."""
    body = []
    for row in verdict["rows"]:
        benchmark = TASK_NAMES[row["task"]] if row["metric"] == "new_task" else METRIC_NAMES[row["metric"]]
        printed = "" if row["published"] is None else f"{row['published']:.1f}"
        remark = f"{row['reading']}; {row['note']}" if row["note"] else row["reading"]
        name = f"{row['checkpoint']} ({METHOD_NAMES[row['method']]})"
        body.append([name, benchmark, row["n_items"], value_text(row), printed, row["verdict"], remark])
    origins = "\n".join(f"- {name}: {origin}" for name, origin in verdict["checkpoints"].items())
    header = ("checkpoint", "benchmark", "items", "here", "paper", "verdict", "reading")
    parts = [f"# Released checkpoints: {verdict['notice']}", origins, markdown_table(header, body, numbers=(2, 3, 4))]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    run_main(main)
