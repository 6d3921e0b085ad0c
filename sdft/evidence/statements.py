"""Sentences of the paper that can be tested, and the claim that follows from what was measured.

Each exhibit's file in sdft/evidence/exhibits lists its own STATEMENTS; sdft/evidence/rules.py says how their tests
decide. Every test is paired by item and run, at 95 %. Beside the words of its tests a claim may be

- NOT RUN: a model that the statement compares has no score.
- NOT TESTABLE: what the statement speaks of is not there, such as a model that learns poorly in context.
- INCOMPARABLE: the numbers are no evidence, or the base model already differs from the paper's.

Margins are declared with the statements, before anything runs, and are in the unit of the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from sdft.evidence.outcomes import Results
from sdft.evidence.power import MOST, items_suffice, needed
from sdft.evidence.quantities import OFFLINE, Comparison, finite
from sdft.evidence.rules import AGAINST, LEVEL, NEAR, Trial, decide
from sdft.statistics import READINGS, Interval
from sdft.study.exhibits import find, names
from sdft.study.exhibits.schema import Exhibit

# How a rule names what is corrected, with several tests; with one test it is that test's own p.
HOLM = "Holm's p below 0.05"
# The readings of a difference, as texts name them.
READING_NAMES = {"these_bases": "on these base models", "any_base": "for any base model"}
# How a reading begins that is a MISMATCH, and what it ends with where a single seed was run.
AGAINST_PAPER = "Against the paper: "
ONE_SEED = " One seed: the interval covers the choice of items only."


@dataclass(frozen=True)
class Statement:
    """A sentence of the paper or of ours, its place there, and the predicate that decides it.

    kind: that of sdft/evidence/rules.py. A comparison may have a kind of its own, of which `also` tells. near: the
    smallest difference of interest, in points; None where the difference is in another unit, which has none. `ours`
    marks a question of ours that the paper does not ask.
    """

    id: str
    place: str
    statement: str
    predicate: str
    kind: str = "better"
    margin: float | None = None
    ours: bool = False
    also: str = ""
    near: float | None = NEAR

    @property
    def rule(self) -> str:
        """What decides, in words."""
        unit = "" if self.near is None else " points"
        margin = f"{self.margin or 0:g}{unit}"
        alike = "" if self.near is None else f", inside -{self.near:g} to {self.near:g}{unit} NO DIFFERENCE"
        words = {
            "better": f"every interval lies above 0; with {HOLM} one below 0 is a MISMATCH{alike}",
            "not_worse": f"every interval lies above 0, or above -{margin} (WITHIN); one below -{margin} with {HOLM} "
            "is a MISMATCH",
            "unchanged": f"every interval lies inside -{self.margin or 0:g} to {margin}; one outside with {HOLM} is a "
            "MISMATCH",
            "no_gain": f"every interval lies below {margin}; one above with {HOLM} is a MISMATCH",
        }[self.kind]
        return f"{words}; {self.also}" if self.also else words


def _signed(value: float | None, digits: int) -> str:
    return "unbounded" if value is None else f"{value:+z.{digits}f}"


def _test(statement: Statement, comparison: Comparison, interval: Interval) -> Trial:
    kind = comparison.kind or statement.kind
    near = statement.near if comparison.unit == "percentage points" else None
    return Trial(kind, interval, statement.margin or 0.0, near)


def read_all(statement: Statement, run: Sequence[Comparison], complete: bool) -> dict[str, Any]:
    """Each reading that all of the comparisons allow: its verdict, and a word and Holm's p a comparison."""
    found = {}
    for reading in READINGS:
        if run and all(reading in entry.readings for entry in run):
            tests = [_test(statement, entry, entry.readings[reading]) for entry in run]
            found[reading] = dict(zip(("verdict", "words", "p_holm"), decide(tests, complete), strict=True))
    return found


def _evidence(comparison: Comparison, place: int, found: dict[str, Any], counts: str | None) -> dict[str, Any]:
    """One test as the ledger keeps it; `place` is that among the tests that were run."""
    base: dict[str, Any] = {"name": comparison.name, "unit": comparison.unit}
    interval = comparison.interval
    if interval is None:
        return {**base, "verdict": "NOT RUN", "absent": list(comparison.absent), "published": comparison.published}
    readings = {}
    for name, result in found.items():
        own = comparison.readings[name]
        cut = comparison.cut(own)
        readings[name] = {
            **{"low": finite(cut.low, 4), "high": finite(cut.high, 4), "p": own.p, "n_bases": own.n_bases},
            **{"verdict": result["words"][place], "p_holm": result["p_holm"][place]},
        }
    decided = readings.get(counts, {})
    return {
        **base,
        "verdict": decided.get("verdict", "INCONCLUSIVE"),
        "difference": finite(interval.mean, 4),
        "low": finite(comparison.shown.low, 4),
        "high": finite(comparison.shown.high, 4),
        "p": interval.p,
        "p_holm": decided.get("p_holm"),
        "readings": readings,
        "n_bases": interval.n_bases,
        "n_seeds": interval.n,
        "n_items": interval.n_items,
        "seeds": list(comparison.seeds),
        "bases": list(comparison.bases),
        "runs": list(comparison.runs),
        "by_seed": list(comparison.by_seed),
        "components": {name: finite(value, 4) for name, value in comparison.components.items()},
        "covers": interval.sources,
        "published": comparison.published,
        **comparison.extra,
    }


def _read(comparison: Comparison, p_holm: float | None) -> str:
    """One test's numbers as text, with the p of what speaks against it, where something does."""
    digits = 2 if comparison.unit.startswith(("nats", "times")) else 1
    ends = (_signed(finite(end, 4), digits) for end in (comparison.shown.low, comparison.shown.high))
    shown = comparison.extra.get("shown") or (
        f"{_signed(comparison.interval.mean, digits)} {comparison.unit.replace('percentage points', 'points')} "
        f"(95 % interval {' to '.join(ends)})"
    )
    return f"{comparison.name}: {shown}" + ("" if p_holm is None else f", {holm_text(p_holm)}")


def holm_text(p: float) -> str:
    """An adjusted p-value as readings show it."""
    return "Holm's p against it < 0.0001" if p < 1e-4 else f"Holm's p against it {p:.2g}"


def on_rounding(verdict: str, elsewhere: Mapping[str, str]) -> str:
    """That a verdict hangs on rounding, where another arithmetic has another; else nothing."""
    others = [f"{said} with {name}" for name, said in elsewhere.items() if said != verdict]
    return f"It hangs on rounding: {verdict} here, {', '.join(others)}." if others else ""


def undecided(tests: Sequence[tuple[Trial, Comparison]], results: Results) -> tuple[dict[str, int] | None, str]:
    """The smallest design that would decide all of some tests, and a sentence that says so with the command.

    The design is {"bases", "seeds", "more"}: base models, seeds of each, and how many of the base models the study does
    not start from yet. It never leaves out one that the study starts from.
    """
    designs = [needed(test.interval, entry.components, test.distance) for test, entry in tests]
    if not designs or None in designs:
        return None, f" No design of up to {MOST} runs would decide it{_few_items(tests)}."
    planned = [results.base_models(size) for _, entry in tests for size in entry.sizes]
    present = max(*planned, *(test.interval.n_bases for test, _ in tests))
    bases, seeds = (max(entry[name] for entry in designs) for name in ("bases", "seeds"))
    design = {"bases": max(bases, present), "seeds": seeds, "more": max(bases - present, 0)}
    command = f": --config '{design_setting(design, results.exhibit)}'" if bases * seeds <= 40 else ""
    return design, f" {design_text(design)} would decide it{command}.{more_models(design)}"


def design_text(design: dict[str, int]) -> str:
    """A design as the beginning of a sentence."""
    bases, seeds = design["bases"], design["seeds"]
    return f"About {bases} base model{'' if bases == 1 else 's'} with {seeds} seed{'' if seeds == 1 else 's'} each"


def design_setting(design: dict[str, int], exhibit: Exhibit) -> str:
    """What `--config` takes for a design: `seeds`, or, of a study that has its own, these and those after them.

    Seed number i starts from base model number i modulo their number.
    """
    count = design["bases"] * design["seeds"]
    if not exhibit.seeds:
        return f"seeds={list(range(count))}"
    last = max(exhibit.seeds)
    seeds = [*exhibit.seeds, *range(last + 1, last + 1 + count - len(exhibit.seeds))]
    return f"scales={{{exhibit.scale}: {{studies: {{{exhibit.study}: {{seeds: {seeds}}}}}}}}}"


def more_models(design: dict[str, int]) -> str:
    """A sentence that says how a design comes to its base models; empty where the study starts from all of them."""
    if not design.get("more"):
        return ""
    return (
        f" For it models.names has to name exactly {design['bases']} base models, {design['more']} more than the study "
        "starts from (docs/verdicts.md says how one is added)."
    )


def _few_items(tests: Sequence[tuple[Trial, Comparison]]) -> str:
    """A clause where the items of some test are too few, whatever the number of runs; else nothing."""
    for test, _ in tests:
        interval, distance = test.interval, test.distance or 0
        known = getattr(interval, "df_items", 0)
        if known and distance > 0 and interval.n_sets == 1 and not items_suffice(interval.se_items, distance, known):
            return ": its items are about too few different things"
    return ""


def _unlike(results: Results, run: Sequence[Comparison]) -> str | None:
    """Why comparisons at paper scale cannot speak about the paper: the judge, or a base model that misses its gate."""
    if results.beside_paper and any(entry.offline for entry in run):
        return OFFLINE
    found = (results.missed(entry.benchmarks, entry.sizes) for entry in run)
    return next(filter(None, found), None)


def conclude(
    statement: Statement,
    comparisons: Sequence[Comparison],
    results: Results,
    incomparable: str | None = None,
    untestable: str | None = None,
) -> dict[str, Any]:
    """A statement's claim: {"id", "item", "statement", "place", "test", "verdict", "reading", "evidence"}.

    `incomparable` says why the numbers cannot speak about the paper, and `untestable` why they cannot speak about the
    statement; they are kept, and the verdict is INCOMPARABLE or NOT TESTABLE.
    """
    run = [entry for entry in comparisons if entry.interval is not None] if results.enabled else []
    found = read_all(statement, run, complete=len(run) == len(comparisons))
    counts = next(iter(found), None)
    verdict = found[counts]["verdict"] if counts else "INCONCLUSIVE" if run else "NOT RUN"
    places = {id(entry): place for place, entry in enumerate(run)}
    evidence = [_evidence(entry, places.get(id(entry), 0), found, counts) for entry in comparisons]
    design, notice, elsewhere = None, None, ""
    if run:
        notice = results.exhibit.notice if results.exhibit.evidence == "none" else None
        notice = notice or incomparable or _unlike(results, run)
        said = "INCOMPARABLE" if notice else "NOT TESTABLE" if untestable else verdict
        elsewhere = on_rounding(said, results.exhibit.elsewhere.get(statement.id, {}))
    if not results.enabled:
        reading = results.exhibit.absence
    elif not run:
        absent = dict.fromkeys(said for entry in comparisons for said in entry.absent)
        reading = f"No result of {', '.join(absent)}." if absent else "Nothing that the statement compares was run."
    else:
        words, p_holm = (found[counts][name] if counts else [None] * len(run) for name in ("words", "p_holm"))
        reading = "; ".join(_read(entry, p) for entry, p in zip(run, p_holm, strict=True)) + "."
        unmet = any(entry.kind == "premise" and said != "DIRECTION" for entry, said in zip(run, words, strict=True))
        if unmet and verdict == "INCONCLUSIVE":
            reading += " What may not have been learnt cannot be kept, so this decides nothing."
        if len(run) < len(comparisons):
            reading += f" {len(comparisons) - len(run)} of {len(comparisons)} tests not run."
        if min(entry.interval.n for entry in run) == 1:
            reading += ONE_SEED
        elif verdict == "INCONCLUSIVE" and counts and not elsewhere:
            open_ = [
                (_test(statement, entry, entry.readings[counts]), entry)
                for entry, said in zip(run, words, strict=True)
                if said == "INCONCLUSIVE"
            ]
            if open_:
                design, said = undecided(open_, results)
                reading += said
    if untestable and run:
        verdict, reading = "NOT TESTABLE", f"{untestable} {reading}"
        found = {name: {**result, "verdict": verdict} for name, result in found.items()}
    if elsewhere:
        verdict, reading = "INCONCLUSIVE", f"{elsewhere} {reading}"
    if verdict in AGAINST and not statement.ours:
        reading = f"{AGAINST_PAPER}{reading}"
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
        "counts": counts,
        "readings": {name: result["verdict"] for name, result in found.items()},
        "needed": design,
        "reading": reading,
        "evidence": {"level": LEVEL, "tests": evidence},
    }


def conclude_all(
    results: Results,
    statements: Sequence[Statement],
    comparisons: dict[str, Sequence[Comparison]],
    incomparable: dict[str, str] | None = None,
    untestable: dict[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The claims of an exhibit, from the comparisons of each of its statements, by id."""
    return [
        conclude(
            entry,
            comparisons.get(entry.id, ()),
            results,
            (incomparable or {}).get(entry.id),
            (untestable or {}).get(entry.id),
        )
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
