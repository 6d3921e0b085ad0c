"""Sentences of the paper that can be tested, and how a sentence gets its verdict.

Each exhibit's file in sdft/evidence/exhibits lists its own STATEMENTS. Every test is paired by item and seed, at 95 %:

- DIRECTION: the claimed sign holds and the interval excludes zero (a restored share: it lies inside 0..1).
- WITHIN: the interval lies inside the declared margin, so "no worse" or "unchanged" holds to that precision.
- MISMATCH: the interval says the opposite, by more than the margin; the measurement is against the paper.
- INCONCLUSIVE: the interval allows both.
- NOT RUN: a model that the statement compares has no score.
- INCOMPARABLE: the numbers are no evidence, or the base model already differs from the paper's.

A statement may need several tests (one an order of tasks, one a number k). It has to hold in each of them:

- the p-values of its differences are adjusted by Holm's procedure, and a difference counts when the adjusted one is
  below 5 %;
- one test against it makes it a MISMATCH; it is DIRECTION (or WITHIN) when all its tests were run and say so;
- a test may be a premise, such as that a model learnt what it is said to keep: without it nothing is found for it;
- anything else is INCONCLUSIVE, and NOT RUN when no test was run.

Margins are declared with the statements, before anything runs, and are in the unit of the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from sdft.evidence.outcomes import Results
from sdft.evidence.quantities import LEVEL, OFFLINE, Comparison, finite
from sdft.statistics import Fraction, Interval, holm
from sdft.study.exhibits import find, names

# How near is "nearly": 5 percentage points, about the width of an interval over 500 items.
NEAR = 5.0
# How a rule names the correction for several tests; with one test it is that test's own p.
HOLM = "Holm's p below 0.05"
# How a reading begins that is a MISMATCH, and what it ends with where a single seed was run.
AGAINST = "Against the paper: "
ONE_SEED = " One seed: the interval covers the choice of items only."


@dataclass(frozen=True)
class Statement:
    """A sentence of the paper or of ours, its place there, and the predicate that decides it.

    kind: better (each difference is above 0), not_worse (above 0, or above -margin), unchanged (inside the margin) or
    no_gain (below the margin). A comparison may have a kind of its own, of which `also` tells: better, or premise
    (above 0, else nothing is decided). `ours` marks a question of ours that the paper does not ask.
    """

    id: str
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


def word(kind: str, interval: Interval | Fraction, margin: float = 0.0, certain: bool | None = None) -> str:
    """What an interval says of a difference, by the kind of its test.

    certain: whether the difference is other than zero; None where the interval itself says so. A correction for several
    tests may take that away, and the difference is then neither DIRECTION nor MISMATCH. A loss that may be smaller than
    the margin is no evidence against "at least as good".
    """
    low, high = interval.low, interval.high
    if certain is None:
        certain = low > 0 or high < 0
    if kind == "unchanged":
        inside, outside = -margin <= low and high <= margin, high < -margin or low > margin
        return "WITHIN" if inside else "MISMATCH" if outside else "INCONCLUSIVE"
    if kind == "no_gain":
        return "WITHIN" if high < margin else "MISMATCH" if low > margin else "INCONCLUSIVE"
    if kind == "restores_part":
        return "DIRECTION" if low > 0 and high < 1 else "MISMATCH" if high <= 0 or low >= 1 else "INCONCLUSIVE"
    if kind == "not_worse":
        if certain and low > 0:
            return "DIRECTION"
        return "WITHIN" if low > -margin else "MISMATCH" if certain and high < -margin else "INCONCLUSIVE"
    if certain and interval.mean > 0:
        return "DIRECTION"
    return "MISMATCH" if certain and kind != "premise" else "INCONCLUSIVE"


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
    found = (results.missed(entry.benchmarks, entry.sizes) for entry in run)
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
    words = [
        word(entry.kind or statement.kind, entry.interval, statement.margin or 0.0, (adjusted[id(entry)] or 0.0) < 0.05)
        for entry in run
    ]
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
        unmet = any(entry.kind == "premise" and said != "DIRECTION" for entry, said in zip(run, words, strict=True))
        if unmet and verdict == "INCONCLUSIVE":
            reading += " What may not have been learnt cannot be kept, so this decides nothing."
        if len(run) < len(comparisons):
            reading += f" {len(comparisons) - len(run)} of {len(comparisons)} tests not run."
        if min(entry.interval.n for entry in run) == 1:
            reading += ONE_SEED
    if verdict == "MISMATCH" and not statement.ours:
        reading = f"{AGAINST}{reading}"
    if verdict != "NOT RUN":
        no_evidence = results.exhibit.notice if results.exhibit.evidence == "none" else None
        notice = no_evidence or incomparable or _unlike(results, run)
        if notice:
            verdict, reading = "INCOMPARABLE", f"{notice} {reading}"
    return {
        "id": statement.id,
        "item": results.exhibit.name,
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
    statements: Sequence[Statement],
    comparisons: dict[str, Sequence[Comparison]],
    incomparable: dict[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The claims of an exhibit, from the comparisons of each of its statements, by id."""
    return [
        conclude(entry, comparisons.get(entry.id, ()), results, (incomparable or {}).get(entry.id))
        for entry in statements
    ]


def catalogue() -> dict[str, tuple[Statement, ...]]:
    """The statements of every exhibit that has some; exhibits of one study stand together."""
    studies = list(dict.fromkeys(find(name).study or name for name in names()))
    ordered = sorted(names(), key=lambda name: studies.index(find(name).study or name))
    return {name: found for name in ordered if (found := getattr(numbers_of(name), "STATEMENTS", ()))}


def numbers_of(name: str) -> ModuleType | None:
    """The module that turns scores into an exhibit's numbers; None where it has none of its own."""
    module = f"sdft.evidence.exhibits.{name}"
    return import_module(module) if find_spec(module) else None
