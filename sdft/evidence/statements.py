"""Sentences of the paper that can be tested, beside Table 5's (claims.py), and how a sentence gets its verdict.

A statement may need several tests (one an order of tasks, one a number k). It has to hold in each of them:

- the p-values of its differences are adjusted by Holm's procedure, and a difference counts when the adjusted one is
  below 5 %;
- one test against it makes it a MISMATCH; it is DIRECTION (or WITHIN) when all its tests were run and say so;
- a test may be a premise, such as that a model learnt what it is said to keep: without it nothing is found for it;
- anything else is INCONCLUSIVE, and NOT RUN when no test was run.

Margins are declared here, before anything runs, and are in the unit of the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sdft.evidence.claims import verdict_not_worse, verdict_unchanged
from sdft.evidence.comparable import missed
from sdft.evidence.outcomes import Results
from sdft.evidence.quantities import LEVEL, OFFLINE, Comparison, finite
from sdft.statistics import holm

# How near is "nearly": 5 percentage points, about the width of an interval over 500 items.
NEAR = 5.0
# How a rule names the correction for several tests; with one test it is that test's own p.
HOLM = "Holm's p below 0.05"


@dataclass(frozen=True)
class Statement:
    """A sentence about `item`, its place in the paper, and the predicate that decides it.

    kind: better (each difference is above 0), not_worse (above 0, or above -margin), unchanged (inside the margin) or
    no_gain (below the margin). A comparison may have a kind of its own, of which `also` tells: better, or premise
    (above 0, else nothing is decided). `ours` marks a question of ours that the paper does not ask.
    """

    id: str
    item: str
    place: str
    statement: str
    predicate: str
    kind: str = "better"
    margin: float | None = None
    ours: bool = False
    also: str = ""

    @property
    def rule(self) -> str:
        """What decides, in words."""
        margin = f"{self.margin or 0:g}"
        words = {
            "better": f"every difference is above 0 with {HOLM}; one below 0 with such a p is a MISMATCH",
            "not_worse": f"every difference is above 0 with {HOLM}, or its interval above -{margin} (WITHIN); one "
            f"whose interval is below -{margin} with such a p is a MISMATCH",
            "unchanged": f"every interval lies inside -{margin}..{margin}; one wholly outside is a MISMATCH",
            "no_gain": f"every interval lies below {margin}; one wholly above is a MISMATCH",
        }[self.kind]
        return f"{words}; {self.also}" if self.also else words


STATEMENTS = (
    Statement(
        "knowledge-sdft-beats-sft",
        "table1",
        "Table 1, strict",
        "SDFT acquires new knowledge better than SFT.",
        "SDFT minus SFT, strict accuracy",
    ),
    Statement(
        "knowledge-sdft-generalises",
        "table1",
        "Table 1, OOD",
        "What SDFT has learnt answers indirect questions that SFT fails.",
        "SDFT minus SFT, accuracy out of distribution",
    ),
    Statement(
        "knowledge-cpt-fails",
        "table1",
        "Table 1, strict",
        "Continued pre-training on the raw articles acquires less than SFT on questions and answers.",
        "SFT minus CPT, strict accuracy",
    ),
    Statement(
        "knowledge-near-oracle",
        "table1",
        "Table 1, strict",
        "SDFT comes close to the base model that has the right article in its context.",
        "SDFT minus oracle RAG, strict accuracy",
        "not_worse",
        NEAR,
    ),
    Statement(
        "context-order",
        "figure7",
        "Figure 7",
        "Text and answer together make the best teacher, then the text alone, then the answer alone.",
        "text and answer minus text alone, text alone minus answer alone, strict accuracy",
    ),
    Statement(
        "reasoning-sft-hurts",
        "table2",
        "Table 2, accuracy",
        "SFT on answers alone makes a reasoning model worse than it was.",
        "base minus SFT, accuracy",
    ),
    Statement(
        "reasoning-sdft-gains",
        "table2",
        "Table 2, accuracy",
        "SDFT on the same answers makes it better.",
        "SDFT minus base, accuracy",
    ),
    Statement(
        "reasoning-sft-shortens",
        "table2",
        "Table 2, generated tokens",
        "SFT on answers alone shortens the reasoning; SDFT keeps more of it.",
        "base minus SFT and SDFT minus SFT, generated tokens",
    ),
    Statement(
        "teacher-solves-more",
        "figure2",
        "Figure 2, text",
        "With a demonstration in its context the base model solves far more of Tool Use.",
        "base with demonstration minus base, accuracy",
    ),
    Statement(
        "teacher-solves-all",
        "figure2",
        "Figure 2, text",
        "With a demonstration it solves all of Tool Use.",
        "base with demonstration minus 100 %, accuracy",
        "not_worse",
        NEAR,
    ),
    Statement(
        "teacher-is-closer",
        "figure2",
        "Figure 2, right",
        "The teacher is nearer to the base model than the SFT model is.",
        "KL to base of the SFT model minus that of the teacher, nats a sequence",
    ),
    Statement(
        "sequential-sdft-keeps",
        "figure3",
        "Figure 3",
        "Along a sequence of tasks SDFT loses less of the earlier ones than SFT.",
        "backward transfer of SDFT minus that of SFT, each order",
        also="nothing is found for it unless SDFT learnt the earlier tasks: after their own stages it is above the "
        f"base model with {HOLM}, each order",
    ),
    Statement(
        "sequential-sdft-accumulates",
        "figure3",
        "Figure 3 (a)",
        "SDFT accumulates the skills: what it learnt is still there at the end.",
        "accuracy of SDFT at the end minus that after each task's own stage, each order",
        "not_worse",
        NEAR,
        also=f"at the end it is above the base model with {HOLM}, each task, each order",
    ),
    Statement(
        "sequential-sft-below-base",
        "figure3",
        "Figure 3 (b)",
        "SFT drops every earlier task below the base model.",
        "base minus SFT at the end of the sequence, each earlier task, each order",
    ),
    Statement(
        "scaling-smallest",
        "figure5",
        "Figure 5, left, 3B",
        "The smallest model, which learns poorly in context, gains less from SDFT than from SFT.",
        "SFT minus SDFT at the smallest size, accuracy",
    ),
    Statement(
        "scaling-grows",
        "figure5",
        "Figure 5, left",
        "The advantage of SDFT grows with the model's size.",
        "(SDFT minus SFT) at the largest size minus (SDFT minus SFT) at the smallest, accuracy",
    ),
    Statement(
        "passk-order",
        "figure5",
        "Figure 5, right",
        "SDFT solves more than SFT, and SFT more than the base model, at every number k of samples.",
        "pass@k of SDFT minus SFT and of SFT minus base at k = 1, 8 and the largest k",
    ),
    Statement(
        "onpolicy-beats-offline",
        "figure6",
        "Figure 6",
        "Learning from the teacher on the student's own samples is better than on fixed samples of the teacher.",
        "SDFT minus offline distillation, accuracy",
    ),
    Statement(
        "onpolicy-beats-teacher-sft",
        "figure6",
        "Figure 6",
        "It is better than SFT on samples of the teacher.",
        "SDFT minus SFT on teacher samples, accuracy",
    ),
    Statement(
        "onpolicy-beats-fresh",
        "figure6",
        "not in the paper",
        "It is better than distillation on samples of the teacher that are as fresh as SDFT's own.",
        "SDFT minus distillation on fresh teacher samples, accuracy",
        ours=True,
    ),
    Statement(
        "ema-beats-frozen",
        "figure8",
        "Figure 8",
        "A teacher that follows the student slowly is better than the frozen base model.",
        "EMA minus frozen, accuracy",
    ),
    Statement(
        "student-teacher-collapses",
        "figure8",
        "Figure 8",
        "With the current student as its own teacher, training collapses.",
        "EMA minus current student and frozen minus current student, accuracy",
    ),
    Statement(
        "bfloat16-ema-is-frozen",
        "figure8",
        "not in the paper",
        "An EMA in bfloat16 arithmetic, as in the official code, does what a frozen teacher does.",
        "EMA in bfloat16 minus frozen, accuracy",
        "unchanged",
        NEAR,
        ours=True,
    ),
    Statement(
        "estimator-analytic",
        "ablations",
        "Appendix A.1",
        "The analytic per-token estimator trains at least as well as the other two.",
        "analytic minus sampled token and minus Rao-Blackwellised, all of the reverse KL, accuracy",
        "not_worse",
        NEAR,
    ),
    Statement(
        "rollouts-negligible",
        "ablations",
        "Appendix A.1",
        "More rollouts a prompt gain next to nothing.",
        "2, 4 and 8 rollouts minus 1, accuracy",
        "no_gain",
        NEAR,
    ),
    Statement(
        "forward-kl-suffices",
        "ablations",
        "Equation 1 and section 3 of v2",
        "Forward KL, which was used, does as well as reverse KL, which is derived.",
        "forward minus reverse KL, each with its own learning rate, accuracy",
        "not_worse",
        NEAR,
        ours=True,
    ),
    Statement(
        "cost-dearer",
        "cost",
        "Text on cost",
        "SDFT costs more than SFT: about 2.5 times the FLOPs and 4 times the wall-clock.",
        "logarithm of SDFT's cost over SFT's, FLOPs and seconds",
    ),
)


def statements(item: str) -> list[Statement]:
    """The statements that an item's numbers test."""
    return [entry for entry in STATEMENTS if entry.item == item]


def _word(statement: Statement, comparison: Comparison, p: float) -> str:
    interval, margin, kind = comparison.interval, statement.margin or 0.0, comparison.kind or statement.kind
    certain = p < 1 - LEVEL
    if kind == "unchanged":
        return verdict_unchanged(interval, margin)
    if kind == "no_gain":
        return "WITHIN" if interval.high < margin else "MISMATCH" if interval.low > margin else "INCONCLUSIVE"
    if kind == "not_worse":
        return verdict_not_worse(interval, margin, certain)
    if not certain or (kind == "premise" and interval.mean <= 0):
        return "INCONCLUSIVE"
    return "DIRECTION" if interval.mean > 0 else "MISMATCH"


def combine(words: Sequence[str], complete: bool) -> str:
    """The verdict of a statement that has to hold in every one of its tests."""
    if not words:
        return "NOT RUN"
    if "MISMATCH" in words:
        return "MISMATCH"
    if complete and set(words) == {"DIRECTION"}:
        return "DIRECTION"
    return "WITHIN" if complete and set(words) <= {"DIRECTION", "WITHIN"} else "INCONCLUSIVE"


def _signed(value: float | None, digits: int) -> str:
    return "unbounded" if value is None else f"{value:+z.{digits}f}"


def _evidence(comparison: Comparison, p_holm: float | None, word: str) -> dict[str, Any]:
    interval = comparison.interval
    base: dict[str, Any] = {"name": comparison.name, "unit": comparison.unit, "verdict": word}
    if interval is None:
        return {**base, "absent": list(comparison.absent), "published": comparison.published}
    return {
        **base,
        "difference": finite(interval.mean, 4),
        "low": finite(comparison.shown.low, 4),
        "high": finite(comparison.shown.high, 4),
        "p": interval.p,
        "p_holm": p_holm,
        "n_seeds": interval.n,
        "n_items": interval.n_items,
        "seeds": list(comparison.seeds),
        "by_seed": list(comparison.by_seed),
        "covers": interval.sources,
        "published": comparison.published,
        **comparison.extra,
    }


def _read(comparison: Comparison, p_holm: float | None, several: bool) -> str:
    """One test's numbers as text, with the p that decides where there are several tests."""
    digits = 2 if comparison.unit.startswith(("nats", "times")) else 1
    ends = (_signed(finite(end, 4), digits) for end in (comparison.shown.low, comparison.shown.high))
    shown = comparison.extra.get("shown") or (
        f"{_signed(comparison.interval.mean, digits)} {comparison.unit.replace('percentage points', 'points')} "
        f"(95 % interval {' to '.join(ends)})"
    )
    return f"{comparison.name}: {shown}" + (f", {holm_text(p_holm)}" if several and p_holm is not None else "")


def holm_text(p: float) -> str:
    """An adjusted p-value as readings show it."""
    return "Holm's p < 0.0001" if p < 1e-4 else f"Holm's p {p:.2g}"


def _unlike(results: Results, run: Sequence[Comparison]) -> str | None:
    """Why comparisons at paper scale cannot speak about the paper: the judge, or a base model that misses its gate."""
    if results.beside_paper and any(entry.offline for entry in run):
        return OFFLINE
    found = (missed(results, entry.benchmarks, entry.sizes) for entry in run)
    return next(filter(None, found), None)


def conclude(
    statement: Statement, comparisons: Sequence[Comparison], results: Results, incomparable: str | None = None
) -> dict[str, Any]:
    """A statement's claim: {"id", "item", "statement", "place", "test", "verdict", "reading", "evidence"}.

    `incomparable` says why the numbers cannot speak about the paper; they are kept, and the verdict is INCOMPARABLE.
    """
    run = [entry for entry in comparisons if entry.interval is not None] if results.enabled else []
    adjusted = dict(zip((id(entry) for entry in run), holm([entry.interval.p for entry in run]), strict=True))
    if statement.kind in ("unchanged", "no_gain"):
        adjusted = dict.fromkeys(adjusted)
    words = [_word(statement, entry, adjusted[id(entry)] or 0.0) for entry in run]
    verdict = combine(words, complete=len(run) == len(comparisons))
    tests = iter(words)
    evidence = [
        _evidence(entry, adjusted.get(id(entry)), next(tests) if id(entry) in adjusted else "NOT RUN")
        for entry in comparisons
    ]
    if not results.enabled:
        reading = results.exhibit.absence
    elif not run:
        absent = dict.fromkeys(said for entry in comparisons for said in entry.absent)
        reading = f"No result of {', '.join(absent)}." if absent else "Nothing that the statement compares was run."
    else:
        reading = "; ".join(_read(entry, adjusted[id(entry)], len(run) > 1) for entry in run) + "."
        unmet = any(entry.kind == "premise" and word != "DIRECTION" for entry, word in zip(run, words, strict=True))
        if unmet and verdict == "INCONCLUSIVE":
            reading += " What may not have been learnt cannot be kept, so this decides nothing."
        if len(run) < len(comparisons):
            reading += f" {len(comparisons) - len(run)} of {len(comparisons)} tests not run."
        if min(entry.interval.n for entry in run) == 1:
            reading += " One seed: the interval covers the choice of items only."
    if verdict == "MISMATCH" and not statement.ours:
        reading = f"Against the paper: {reading}"
    if verdict != "NOT RUN":
        no_evidence = results.exhibit.notice if results.exhibit.evidence == "none" else None
        notice = no_evidence or incomparable or _unlike(results, run)
        if notice:
            verdict, reading = "INCOMPARABLE", f"{notice} {reading}"
    return {
        "id": statement.id,
        "item": statement.item,
        "statement": statement.statement,
        "place": statement.place,
        "ours": statement.ours,
        "test": f"{statement.predicate}; paired by item and seed: {statement.rule}.",
        "verdict": verdict,
        "reading": reading,
        "evidence": {"level": LEVEL, "tests": evidence},
    }


def conclude_all(
    results: Results,
    item: str,
    comparisons: dict[str, Sequence[Comparison]],
    incomparable: dict[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The claims of an item, from the comparisons of each of its statements, by id."""
    return [
        conclude(entry, comparisons.get(entry.id, ()), results, (incomparable or {}).get(entry.id))
        for entry in statements(item)
    ]
