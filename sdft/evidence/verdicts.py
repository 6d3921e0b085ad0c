"""What a table's cell is worth: the verdict of a measured number against the printed one, and what it cost.

The verdict of a cell at paper scale, in this order: NOT RUN without a score; INCOMPARABLE where the offline judge
scored the answers, or the base model's own cell misses the printed one or its gate (sdft/study/gate.yaml); MATCH if the
interval holds the printed number, WITHIN if it is no further than the declared tolerance, both only if the interval is
narrower than the contrast SDFT - SFT that the paper claims in that column, else INCONCLUSIVE; DIRECTION if the change
from the base model has the printed sign with an interval that excludes zero; MISMATCH otherwise. At every other scale
the models and tasks are others than the paper's, so cells are INCOMPARABLE and only the claims are tested.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdft.common.schema import read_checked
from sdft.evidence.names import MEASURE_NAMES
from sdft.evidence.outcomes import Cell, Results
from sdft.evidence.published import lookup
from sdft.evidence.quantities import OFFLINE, Quantity, offline, paired_groups, quantity
from sdft.evidence.rules import AGAINST, LEVEL
from sdft.learning.files import Candidate
from sdft.statistics import Interval, paired_difference
from sdft.study.schema import Tolerance


def notice(results: Results) -> str:
    """Whose numbers these are, which judge's, and whether a base model misses its gate, as tables and figures say."""
    said = results.exhibit.notice
    if not results.beside_paper or not results.enabled:
        return said
    cells = [*results.cells, *results.contexts, *(results.base_cell(task) for task in results.tasks)]
    own = any(offline([cell], quantity(metric, cell.task)) for cell in cells for metric in ("new_task", "ood"))
    off = results.missed(sizes=results.bases)
    return " ".join(filter(None, [said, OFFLINE if own else None, off]))


def change_from_base(results: Results, cell: Cell, measured: Quantity) -> Interval | None:
    """The paired difference of a cell and the base model, in the table's unit; None where a side was not run."""
    both = paired_groups([cell, results.base_cell(cell.task)], measured)
    return paired_difference(*both[1], LEVEL, grouped=True).scaled(measured.factor) if both else None


def paper_verdict(
    results: Results,
    item: str,
    cell: Cell,
    measured: Quantity,
    row: dict[str, Any],
    base: dict[str, Any] | None,
    tolerance: Tolerance,
) -> tuple[str, str]:
    """Verdict and reason of a cell at paper scale; `base` is the base model's row of the same metric, judged before."""
    if row["published"] is None:
        return "INCOMPARABLE", "the paper prints no such cell"
    if offline([cell], measured):
        return "INCOMPARABLE", "scored by the offline judge"
    unit, rounding = ("points", tolerance.rounding) if measured.unit == "percent" else (measured.unit, 0.5)
    if base is not None and base["verdict"] in ("MISMATCH", "DIRECTION"):
        return "INCOMPARABLE", f"the base model's own {MEASURE_NAMES[row['metric']]} differs from the paper's"
    difference = row["mean"] - row["published"]
    # The paper prints no error; its side is given the sampling error of ours, once more.
    allowed = max(rounding, tolerance.standard_errors * math.sqrt(2) * row["standard_error"])
    inside = row["low"] - rounding <= row["published"] <= row["high"] + rounding
    near = inside or abs(difference) <= allowed
    if near:
        pair = [lookup(item, cell.task, method, row["metric"]) for method in ("sdft", "sft")]
        contrast = abs(pair[0].value - pair[1].value)
        width = row["width"]
        if width > contrast:
            if contrast == 0:
                return "INCONCLUSIVE", "the paper claims no contrast of SDFT and SFT in this column"
            factor = math.ceil((width / contrast) ** 2)
            return "INCONCLUSIVE", (
                f"the interval is {width:.1f} {unit} wide, the claimed contrast SDFT - SFT {contrast:.1f}; "
                f"about {factor} times as many seeds and items would decide"
            )
        return ("MATCH", "") if inside else ("WITHIN", f"{difference:+z.1f} {unit}, at most {allowed:.1f} allowed")
    if base is not None:
        change = change_from_base(results, cell, measured)
        claimed = row["published"] - base["published"]
        if change is not None and claimed and (change.low * claimed > 0 and change.high * claimed > 0):
            return "DIRECTION", f"{difference:+z.1f} {unit} from the paper; the change from the base model has its sign"
    return "MISMATCH", f"{difference:+z.1f} {unit} from the paper, at most {allowed:.1f} allowed"


def _seconds(manifests: Sequence[dict[str, Any]], field: str) -> float:
    return sum(entry.get(field) or 0.0 for entry in manifests)


def cost(results: Results) -> dict[str, float]:
    """Device-hours that the table's files record: training where the plan names model.json, scores and sweep."""
    cells = (*results.cells, *results.contexts)
    runs = {id(run.scores): run for run in (*results.base, *(run for cell in cells for run in cell.runs))}
    final = [entry for run in runs.values() for entry in run.manifests()]
    sweep = [
        read_checked(entry.path, Candidate).get("manifest") or {}
        for entry in results.exhibit.candidates
        if Path(entry.path).exists()
    ]
    parts = {
        "training": _seconds([entry for entry in final if entry.get("step") == "train"], "device_hours"),
        "evaluation": _seconds([entry for entry in final if entry.get("step") != "train"], "device_hours"),
        "sweep": _seconds(sweep, "device_hours"),
    }
    return {name: round(value, 4) for name, value in (*parts.items(), ("total", sum(parts.values())))}


def counts(claims: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts of the claims' verdicts, and the claims that came out against the paper."""
    found = Counter(claim["verdict"] for claim in claims)
    return {
        "claims": dict(sorted(found.items())),
        "against_the_paper": [claim["id"] for claim in claims if claim["verdict"] in AGAINST],
    }


def commits(results: Results) -> list[str]:
    """The commits of the code that made the scores which were read."""
    runs = (*results.base, *(run for cell in (*results.cells, *results.contexts) for run in cell.runs))
    return sorted({entry["commit"] for run in runs for entry in run.manifests() if entry.get("commit")})
