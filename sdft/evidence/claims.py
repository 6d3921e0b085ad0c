"""The claims of Table 5 as predicates: each states a sentence of the paper, tests it, and gets a verdict.

Every test is paired over items and seeds (sdft.statistics), at 95 %. Words for claims:

- DIRECTION: the claimed sign holds and the interval excludes zero (a restored share: it lies inside 0..1).
- WITHIN: the interval lies inside the declared margin, so "no worse" or "unchanged" holds to that precision.
- MISMATCH: the interval says the opposite, by more than the margin; the measurement is against the paper.
- INCONCLUSIVE: the interval allows both.
- NOT RUN: a model that the claim compares has no score.
- INCOMPARABLE: the numbers are no evidence (rehearsal), or the base model already differs from the paper's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdft.evidence.names import METHOD_NAMES, TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.evidence.published import Published, lookup
from sdft.evidence.quantities import paired_groups, quantity, within
from sdft.statistics import Interval, holm, mcnemar_exact, paired_difference, restored_fraction

HEADLINE = "SDFT learns the new task at least as well as SFT while it forgets less of what the base model could do."
LEVEL = 0.95


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper about `one` against `other` on one task; `kind` names the test in `judge`."""

    id: str
    task: str
    statement: str
    place: str
    kind: str  # not_worse, better, unchanged or restores_part
    one: str
    other: str
    metric: str  # new_task or prior_average

    def test(self, margin: float) -> str:
        """What is compared, how, and what decides, in one sentence."""
        quantity = "accuracy on the new task" if self.metric == "new_task" else "average of the six prior benchmarks"
        if self.kind == "restores_part":
            return (
                f"(re-invoke - SFT) / (base - SFT) of the {quantity}, Fieller's interval paired by item and seed: "
                "it lies strictly inside 0..1."
            )
        rule = {
            "not_worse": (
                f"superior if the interval lies above 0, not inferior if it lies above -{margin:g}, worse if it lies "
                f"below -{margin:g}"
            ),
            "better": "the interval lies above 0",
            "unchanged": f"the interval lies inside -{margin:g}..{margin:g}",
        }[self.kind]
        return (
            f"{METHOD_NAMES[self.one]} minus {METHOD_NAMES[self.other]}, {quantity}, paired by item and seed: {rule}."
        )


# id, sentence, kind, the two methods, metric
SENTENCES = (
    ("sdft-learns", "SDFT learns {task} at least as well as SFT.", "not_worse", "sdft", "sft", "new_task"),
    ("sdft-forgets-less", "After {task}, SDFT has forgotten less than SFT.", "better", "sdft", "sft", "prior_average"),
    (
        "sdft-keeps-base",
        "After {task}, the prior average of SDFT is within {margin} of the base model's.",
        "unchanged",
        "sdft",
        "base",
        "prior_average",
    ),
    ("dft-forgets-less", "After {task}, DFT has forgotten less than SFT.", "better", "dft", "sft", "prior_average"),
    (
        "reinvoke-restores-part",
        "After {task}, re-invocation restores part of what SFT has forgotten, not all.",
        "restores_part",
        "sft_reinvoke",
        "sft",
        "prior_average",
    ),
)


def points(margin: float) -> str:
    """A margin in words."""
    return f"{margin:g} percentage point{'' if margin == 1 else 's'}"


def claims(tasks: Sequence[str], margin: float = 1.0) -> list[Claim]:
    """The claims that Table 5 is about, for each task; `margin` is in percentage points."""
    return [
        Claim(
            id=f"{name}-{task}",
            task=task,
            statement=sentence.format(task=TASK_NAMES[task], margin=points(margin)),
            place="Table 5, new task" if metric == "new_task" else "Table 5, average",
            kind=kind,
            one=one,
            other=other,
            metric=metric,
        )
        for task in tasks
        for name, sentence, kind, one, other, metric in SENTENCES
    ]


def verdict_better(interval: Interval) -> str:
    """DIRECTION above zero, MISMATCH below zero, INCONCLUSIVE across it."""
    return "DIRECTION" if interval.low > 0 else "MISMATCH" if interval.high < 0 else "INCONCLUSIVE"


def verdict_not_worse(interval: Interval, margin: float, certain: bool = True) -> str:
    """DIRECTION above zero, else WITHIN above -margin, MISMATCH below -margin, else INCONCLUSIVE.

    A loss that may be smaller than the margin is no evidence against "at least as good". Where the difference is not
    `certain`, because a correction for several tests took that away, it is neither DIRECTION nor MISMATCH.
    """
    if certain and interval.low > 0:
        return "DIRECTION"
    if interval.low > -margin:
        return "WITHIN"
    return "MISMATCH" if certain and interval.high < -margin else "INCONCLUSIVE"


def verdict_unchanged(interval: Interval, margin: float) -> str:
    """WITHIN when the interval lies inside the margin, MISMATCH when it lies wholly outside, else INCONCLUSIVE."""
    if -margin <= interval.low and interval.high <= margin:
        return "WITHIN"
    return "MISMATCH" if interval.high < -margin or interval.low > margin else "INCONCLUSIVE"


def verdict_part(low: float, high: float) -> str:
    """DIRECTION for a share strictly inside 0..1, MISMATCH wholly outside, else INCONCLUSIVE."""
    if low > 0 and high < 1:
        return "DIRECTION"
    return "MISMATCH" if high <= 0 or low >= 1 else "INCONCLUSIVE"


def _finite(value: float | None, digits: int = 3) -> float | None:
    return round(value, digits) if value is not None and math.isfinite(value) else None


def _ends(low: float | None, high: float | None) -> str:
    ends = ["unbounded" if end is None else f"{end:+z.1f}" for end in (low, high)]
    return " to ".join(ends)


def _published(claim: Claim) -> dict[str, Any] | None:
    """The paper's own numbers for the claim, from its printed cells."""

    def cell(method: str) -> Published | None:
        return lookup("table5", claim.task, method, claim.metric)

    one, other, base = cell(claim.one), cell(claim.other), cell("base")
    if one is None or other is None or base is None:
        return None
    value = one.value - other.value
    if claim.kind == "restores_part":
        value /= base.value - other.value
    return {"value": round(value, 3), "notes": [entry.note for entry in (one, other) if entry.note]}


def judge(claim: Claim, results: Results, margin: float) -> dict[str, Any]:
    """Test one claim: {"id", "statement", "place", "task", "test", "verdict", "reading", "evidence"}.

    `margin` and the numbers of the evidence are in percentage points (the restored share is a fraction).
    """
    methods = [claim.one, claim.other, *(["base"] if claim.kind == "restores_part" else [])]
    cells = [results.cell(claim.task, method) for method in methods]
    measured = quantity(claim.metric, claim.task)
    outcomes = None if None in cells else paired_groups(cells, measured)
    result = {
        "id": claim.id,
        "statement": claim.statement,
        "place": claim.place,
        "task": claim.task,
        "test": claim.test(margin),
    }
    if outcomes is None:
        absent = [
            METHOD_NAMES[method]
            for method, cell in zip(methods, cells, strict=True)
            if cell is None or not cell.done(measured.benchmarks)
        ]
        reading = f"No score of {', '.join(absent)}." if absent else "The methods have no seed in common."
        return {**result, "verdict": "NOT RUN", "reading": reading, "evidence": {"published": _published(claim)}}
    seeds, matrices = outcomes
    one, other = matrices[0], matrices[1]
    interval = paired_difference(one, other, LEVEL, grouped=True)
    scaled = interval.scaled(100)
    shown = within(scaled, -100, 100)
    by_seed = 100 * np.mean([a.mean(axis=1) - b.mean(axis=1) for a, b in zip(one, other, strict=True)], axis=0)
    evidence = {
        "unit": "percentage points",
        "difference": _finite(scaled.mean),
        "low": _finite(shown.low),
        "high": _finite(shown.high),
        "level": LEVEL,
        "p": interval.p,
        "n_seeds": interval.n,
        "n_items": interval.n_items,
        "seeds": seeds,
        "by_seed": [round(float(value), 3) for value in by_seed],
        "covers": interval.sources,
        "se_seeds": _finite(scaled.se_seeds),
        "se_items": _finite(scaled.se_items),
        "published": _published(claim),
    }
    if claim.metric == "new_task" and np.isin(np.concatenate([one[0], other[0]]), (0, 1)).all():
        evidence["mcnemar_p_by_seed"] = [mcnemar_exact(a, b) for a, b in zip(one[0], other[0], strict=True)]
    if claim.kind == "restores_part":
        share = restored_fraction(one, other, matrices[2], LEVEL)
        evidence |= {
            "fraction": _finite(share.fraction),
            "fraction_low": _finite(share.low),
            "fraction_high": _finite(share.high),
        }
        bounded = math.isfinite(share.low) and math.isfinite(share.high)
        verdict = verdict_part(share.low, share.high)
        reading = (
            f"{100 * share.fraction:z.0f} % of SFT's loss is restored "
            f"(95 % interval {100 * share.low:z.0f} to {100 * share.high:z.0f} %)."
            if bounded
            else "SFT's loss is too small against its interval for a restored share to mean anything."
        )
    else:
        if claim.kind == "better":
            verdict = verdict_better(scaled)
        elif claim.kind == "not_worse":
            verdict = verdict_not_worse(scaled, margin)
            evidence |= {"superior": bool(scaled.low > 0), "not_inferior": bool(scaled.low > -margin), "margin": margin}
        else:
            verdict = verdict_unchanged(scaled, margin)
            evidence["margin"] = margin
        reading = (
            f"{METHOD_NAMES[claim.one]} minus {METHOD_NAMES[claim.other]}: {scaled.mean:+z.1f} points "
            f"(95 % interval {_ends(evidence['low'], evidence['high'])})."
        )
    if verdict == "MISMATCH":
        reading = f"Against the paper: {reading}"
    if interval.n == 1:
        reading += " One seed: the interval covers the choice of items only."
    return {**result, "verdict": verdict, "reading": reading, "evidence": evidence}


def judge_all(results: Results, margin: float = 1.0) -> list[dict[str, Any]]:
    """Test every claim of the study's tasks, and add Holm's adjusted p-value to those about a difference.

    Verdicts follow from each claim's own interval; `p_holm` says which would survive a correction for all together.
    The claims of "unchanged" are left out of it: for them a small p-value is no support.
    """
    stated = claims(results.tasks, margin)
    results = [judge(claim, results, margin) for claim in stated]
    tested = [
        result["evidence"]
        for claim, result in zip(stated, results, strict=True)
        if claim.kind != "unchanged" and "p" in result["evidence"]
    ]
    for evidence, adjusted in zip(tested, holm([evidence["p"] for evidence in tested]), strict=True):
        evidence["p_holm"] = adjusted
    return results
