"""Tables of the paper from scores: every cell with its interval beside the printed number, and a verdict a claim.

`python -m sdft.tables --plan PLAN.json --out DIR` writes table.csv, table.md, table.tex and verdict.json.

The verdict of a cell at paper scale, in this order: NOT RUN without a score; INCOMPARABLE where the base model's own
cell misses the printed one or its gate (sdft/gate.yaml); MATCH if the interval holds the printed number, WITHIN if it
is no further than the declared tolerance, both only if the interval is narrower than the contrast SDFT - SFT that the
paper claims in that column, else INCONCLUSIVE; DIRECTION if the change from the base model has the printed sign with
an interval that excludes zero; MISMATCH otherwise. At every other scale the models and tasks are others than the
paper's, so cells are INCOMPARABLE and only the claims are tested.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from sdft.claims import HEADLINE, LEVEL, judge_all
from sdft.errors import SdftError, did_you_mean, run_main
from sdft.gate import Check, bands, check
from sdft.layout import comma_separated, latex, markdown
from sdft.names import METRIC_NAMES, METRICS, PRIOR
from sdft.outcomes import Cell, Run, Study, matrix, paired, read_study
from sdft.provenance import Clock, manifest, read_json, write_json, write_text
from sdft.published import lookup
from sdft.statistics import Interval, average_interval, paired_difference

WHY_INCOMPARABLE = {
    "mini": "miniature world: other models, tasks and benchmarks than the paper's",
    "smoke": "smoke test: not evidence",
    "rehearsal": "rehearsal: not evidence",
}
NO_EVIDENCE = ("smoke", "rehearsal")


@dataclass(frozen=True)
class Tolerance:
    """Declared in the configuration before anything runs; percentage points, except `standard_errors`.

    rounding: half a unit of the paper's last digit; standard_errors: how many combined standard errors still count as
    WITHIN; base_margin: how close "stays at the base model's level" and "not worse" are.
    """

    rounding: float = 0.05
    standard_errors: float = 2.0
    base_margin: float = 1.0

    @classmethod
    def of(cls, values: dict[str, float]) -> Tolerance:
        """From the plan. Raises SdftError on an unknown name."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise SdftError(f"The plan's tolerance has no key {name!r}; {did_you_mean(name, known)}")
        return cls(**values)


def _benchmarks(task: str, metric: str) -> tuple[str, ...]:
    return {"new_task": (task,), "prior_average": PRIOR}.get(metric, (metric,))


def _interval(runs: Sequence[Run], benchmarks: Sequence[str]) -> tuple[Interval, list[float]]:
    """Interval in percent, and the value of each seed."""
    groups = [matrix(runs, name) for name in benchmarks]
    by_seed = 100 * np.mean([group.mean(axis=1) for group in groups], axis=0)
    return average_interval(groups, LEVEL).scaled(100), [round(float(value), 3) for value in by_seed]


def _seconds(manifests: Sequence[dict[str, Any]], field: str) -> float:
    return sum(entry.get(field) or 0.0 for entry in manifests)


def cell_rows(study: Study, cell: Cell) -> list[dict[str, Any]]:
    """One row a metric for a cell, numbers in percent; without verdicts, which need the base row."""
    rows = []
    for metric in METRICS:
        benchmarks = _benchmarks(cell.task, metric)
        printed = lookup("table5", cell.task, cell.method, metric) if cell.arm == cell.method else None
        done = cell.done(benchmarks)
        row: dict[str, Any] = {
            "task": cell.task,
            "method": cell.method,
            "arm": cell.arm,
            "metric": metric,
            "published": printed.value if printed else None,
            "published_place": f"{printed.place} ({printed.version})" if printed else None,
            "published_note": printed.note if printed else None,
            "mean": None,
            "low": None,
            "high": None,
            "n_seeds": len(done),
            "n_items": 0,
            "sd_seeds": None,
            "by_seed": [],
            "seeds": [run.seed for run in done],
            "covers": "none",
            "runs": [run.name for run in done],
            "not_run": [run.name for run in cell.runs if run not in done],
            "notes": [],
        }
        if done:
            interval, by_seed = _interval(done, benchmarks)
            row |= {
                "mean": round(interval.mean, 3),
                "low": round(interval.low, 3),
                "high": round(interval.high, 3),
                "n_items": interval.n_items,
                "sd_seeds": round(float(np.std(by_seed, ddof=1)), 3) if len(by_seed) > 1 else None,
                "by_seed": by_seed,
                "covers": interval.sources,
                "standard_error": round(math.hypot(interval.se_seeds, interval.se_items), 4),
            }
            if any(abs(run.scores[name].shift) > 1e-6 for run in done for name in benchmarks):
                row["notes"].append("the metric is not the mean of the items' outcomes, which give the width only")
            if row["not_run"]:
                row["notes"].append(f"{len(row['not_run'])} of {len(cell.runs)} seeds not run")
        rows.append(row)
    return rows


def _change_from_base(study: Study, row: dict[str, Any], cell: Cell) -> Interval | None:
    both = paired([cell, study.base_cell(cell.task)], _benchmarks(cell.task, row["metric"]))
    return paired_difference(*both[1], LEVEL, grouped=True).scaled(100) if both else None


def _paper_verdict(
    study: Study, cell: Cell, row: dict[str, Any], base: dict[str, Any] | None, tolerance: Tolerance
) -> tuple[str, str]:
    """Verdict and reason of a cell at paper scale; `base` is the base model's row of the same metric, judged before."""
    if row["published"] is None:
        return "INCOMPARABLE", "the paper prints no such cell"
    if base is not None and base["verdict"] in ("MISMATCH", "DIRECTION"):
        return "INCOMPARABLE", f"the base model's own {METRIC_NAMES[row['metric']]} differs from the paper's"
    difference = row["mean"] - row["published"]
    # The paper prints no error; its side is given the sampling error of ours, once more.
    allowed = max(tolerance.rounding, tolerance.standard_errors * math.sqrt(2) * row["standard_error"])
    inside = row["low"] - tolerance.rounding <= row["published"] <= row["high"] + tolerance.rounding
    near = inside or abs(difference) <= allowed
    if near:
        pair = [lookup("table5", cell.task, method, row["metric"]) for method in ("sdft", "sft")]
        contrast = abs(pair[0].value - pair[1].value)
        width = row["high"] - row["low"]
        if width > contrast:
            if contrast == 0:
                return "INCONCLUSIVE", "the paper claims no contrast of SDFT and SFT in this column"
            factor = math.ceil((width / contrast) ** 2)
            return "INCONCLUSIVE", (
                f"the interval is {width:.1f} points wide, the claimed contrast SDFT - SFT {contrast:.1f}; "
                f"about {factor} times as many seeds and items would decide"
            )
        return ("MATCH", "") if inside else ("WITHIN", f"{difference:+.1f} points, at most {allowed:.1f} allowed")
    if base is not None:
        change = _change_from_base(study, row, cell)
        claimed = row["published"] - base["published"]
        if change is not None and claimed and (change.low * claimed > 0 and change.high * claimed > 0):
            return "DIRECTION", f"{difference:+.1f} points from the paper; the change from the base model has its sign"
    return "MISMATCH", f"{difference:+.1f} points from the paper, at most {allowed:.1f} allowed"


def _gate(study: Study, cell: Cell, row: dict[str, Any]) -> Check | None:
    """The base model's score against the band of independent readings, where its model and benchmark have one."""
    if (
        cell.method != "base"
        or row["metric"] == "prior_average"
        or {run.name for run in study.base} != {bands()["model"]}
    ):
        return None
    return check(_benchmarks(cell.task, row["metric"])[0], row["mean"], row["n_items"])


def judge_rows(study: Study, tolerance: Tolerance) -> list[dict[str, Any]]:
    """Every row of the table with its verdict, for each task the base model first."""
    rows = []
    for task in study.tasks:
        base: dict[str, dict[str, Any]] = {}
        own = [cell for cell in study.cells if cell.task == task]
        for cell in (study.base_cell(task, distinct=True), *own):
            for row in cell_rows(study, cell):
                if row["mean"] is None:
                    verdict, reason = "NOT RUN", "no score file; ask snakemake for it"
                elif study.scale != "paper":
                    verdict, reason = "INCOMPARABLE", WHY_INCOMPARABLE.get(study.scale, f"scale {study.scale}")
                elif (gate := _gate(study, cell, row)) and not gate.passed:
                    verdict, reason = "MISMATCH", f"outside {gate.low} to {gate.high}: {gate.cause} ({gate.key})"
                else:
                    reference = base.get(row["metric"]) if cell.method != "base" else None
                    verdict, reason = _paper_verdict(study, cell, row, reference, tolerance)
                row |= {"verdict": verdict, "reason": reason}
                if cell.method == "base":
                    base[row["metric"]] = row
                rows.append(row)
    return rows


def judge_claims(study: Study, rows: Sequence[dict[str, Any]], tolerance: Tolerance) -> list[dict[str, Any]]:
    """The claims' verdicts. Where the numbers are no evidence they are kept and the verdict is INCOMPARABLE."""
    results = judge_all(study, tolerance.base_margin)
    failed = {
        (row["task"], row["metric"])
        for row in rows
        if row["method"] == "base" and row["verdict"] in ("MISMATCH", "DIRECTION")
    }
    for result in results:
        metric = "new_task" if result["place"].endswith("new task") else "prior_average"
        if result["verdict"] == "NOT RUN":
            continue
        if study.scale in NO_EVIDENCE:
            result |= {"verdict": "INCOMPARABLE", "reading": f"{NOTICES[study.scale]} {result['reading']}"}
        elif (result["task"], metric) in failed:
            result |= {"verdict": "INCOMPARABLE", "reading": f"The base model misses the paper's. {result['reading']}"}
    return results


def cost(study: Study) -> dict[str, float]:
    """Device-hours that the table's files record: training where the plan names model.json, scores and sweep."""
    runs = {id(run.scores): run for run in (*study.base, *(run for cell in study.cells for run in cell.runs))}
    final = [entry for run in runs.values() for entry in run.manifests()]
    sweep = [
        read_json(entry["path"]).get("manifest") or {} for entry in study.candidates if Path(entry["path"]).exists()
    ]
    parts = {
        "training": _seconds([entry for entry in final if entry.get("step") == "train"], "device_hours"),
        "evaluation": _seconds([entry for entry in final if entry.get("step") != "train"], "device_hours"),
        "sweep": _seconds(sweep, "device_hours"),
    }
    return {name: round(value, 4) for name, value in (*parts.items(), ("total", sum(parts.values())))}


def summary(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts of the claims' verdicts, and the claims that came out against the paper."""
    counts = Counter(result["verdict"] for result in results)
    return {
        "headline": HEADLINE,
        "claims": dict(sorted(counts.items())),
        "against_the_paper": [result["id"] for result in results if result["verdict"] == "MISMATCH"],
    }


NOTICES = {
    "mini": "A miniature world: the models, tasks and benchmarks are its own, and so are the numbers.",
    "smoke": "Smoke test: not evidence.",
    "rehearsal": "Rehearsal: not evidence.",
    "paper": "The paper's models, data and benchmarks.",
}


def table5(study: Study, clock: Clock) -> dict[str, Any]:
    """verdict.json of Table 5."""
    tolerance = Tolerance.of(study.tolerance)
    rows = judge_rows(study, tolerance)
    results = judge_claims(study, rows, tolerance)
    inputs = {entry["commit"] for run in study.base for entry in run.manifests() if entry.get("commit")} | {
        entry["commit"] for cell in study.cells for run in cell.runs for entry in run.manifests() if entry.get("commit")
    }
    return {
        "table": study.table,
        "scale": study.scale,
        "notice": NOTICES.get(study.scale, ""),
        "unit": "percent",
        "level": LEVEL,
        "summary": summary(results),
        "rows": rows,
        "claims": results,
        "tolerance": {field.name: getattr(tolerance, field.name) for field in fields(tolerance)},
        "cost": cost(study),
        "manifest": manifest(
            "tables",
            clock=clock,
            config=study.tolerance,
            seeds=sorted({run.seed for cell in study.cells for run in cell.runs}),
            inputs={"commits": sorted(inputs)},
        ),
    }


TABLES = {"table5": table5}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sdft.tables", description=__doc__.split("\n")[0])
    parser.add_argument("--plan", required=True, help="PLAN.json that names the runs and files behind every cell")
    parser.add_argument("--out", required=True, help="folder for table.csv, table.md, table.tex and verdict.json")
    options = parser.parse_args(arguments)
    clock, study, out = Clock(), read_study(options.plan), Path(options.out)
    if study.table not in TABLES:
        raise SdftError(f"{options.plan} asks for the table {study.table!r}; {did_you_mean(study.table, TABLES)}")
    verdict = TABLES[study.table](study, clock)
    write_text(out / "table.csv", comma_separated(verdict["rows"]))
    write_text(out / "table.md", markdown(verdict))
    write_text(out / "table.tex", latex(verdict))
    write_json(out / "verdict.json", verdict)


if __name__ == "__main__":
    run_main(main)
