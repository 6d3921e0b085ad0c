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
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError, did_you_mean
from sdft.common.files import read_json
from sdft.evidence.comparable import failed_checks, missed
from sdft.evidence.names import MEASURE_NAMES
from sdft.evidence.outcomes import Cell, Study
from sdft.evidence.published import lookup
from sdft.evidence.quantities import LEVEL, OFFLINE, Quantity, offline, paired_groups, quantity
from sdft.statistics import Interval, paired_difference

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


NOTICES = {
    "mini": "A miniature world: the models, tasks and benchmarks are its own, and so are the numbers.",
    "smoke": "Smoke test: not evidence.",
    "rehearsal": "Rehearsal: not evidence.",
    "paper": "The paper's models, data and benchmarks.",
}


def notice(study: Study) -> str:
    """Whose numbers these are, which judge's, and whether a base model misses its gate, as tables and figures say."""
    said = NOTICES.get(study.scale, "")
    if study.scale != "paper" or not study.enabled:
        return said
    cells = [*study.cells, *study.teachers, *(study.base_cell(task) for task in study.tasks)]
    own = any(offline([cell], quantity(metric, cell.task)) for cell in cells for metric in ("new_task", "ood"))
    off = missed(study, [check["benchmark"] for check in failed_checks(study)], tuple(study.bases))
    return " ".join(filter(None, [said, OFFLINE if own else None, off]))


def change_from_base(study: Study, cell: Cell, measured: Quantity) -> Interval | None:
    """The paired difference of a cell and the base model, in the table's unit; None where a side was not run."""
    both = paired_groups([cell, study.base_cell(cell.task)], measured)
    return paired_difference(*both[1], LEVEL, grouped=True).scaled(measured.factor) if both else None


def paper_verdict(
    study: Study,
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
        change = change_from_base(study, cell, measured)
        claimed = row["published"] - base["published"]
        if change is not None and claimed and (change.low * claimed > 0 and change.high * claimed > 0):
            return "DIRECTION", f"{difference:+z.1f} {unit} from the paper; the change from the base model has its sign"
    return "MISMATCH", f"{difference:+z.1f} {unit} from the paper, at most {allowed:.1f} allowed"


def _seconds(manifests: Sequence[dict[str, Any]], field: str) -> float:
    return sum(entry.get(field) or 0.0 for entry in manifests)


def cost(study: Study) -> dict[str, float]:
    """Device-hours that the table's files record: training where the plan names model.json, scores and sweep."""
    cells = (*study.cells, *study.teachers)
    runs = {id(run.scores): run for run in (*study.base, *(run for cell in cells for run in cell.runs))}
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


def counts(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts of the claims' verdicts, and the claims that came out against the paper."""
    found = Counter(result["verdict"] for result in results)
    return {
        "claims": dict(sorted(found.items())),
        "against_the_paper": [result["id"] for result in results if result["verdict"] == "MISMATCH"],
    }


def commits(study: Study) -> list[str]:
    """The commits of the code that made the scores which were read."""
    runs = (*study.base, *(run for cell in (*study.cells, *study.teachers) for run in cell.runs))
    return sorted({entry["commit"] for run in runs for entry in run.manifests() if entry.get("commit")})
