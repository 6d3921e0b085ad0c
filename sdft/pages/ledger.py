"""The claims ledger: every sentence of the paper that can be tested, and what was found.

`python -m sdft.pages.ledger --verdicts FILE... --out DIR` reads verdict.json of tables and the json of figures (of one
scale or of several) and writes ledger.csv, .md, .tex and .json: a line a statement with its place in the paper,
predicate, test, evidence and verdict, then the places where the paper contradicts itself. A statement whose file is
not given shows as NOT RUN.

Table 5 states each of its sentences for every task; here a sentence stands once and has to hold on all of them, by the
rule of sdft/evidence/rules.py. Each line has two readings, on these base models and for any base model, and says which
of them is its verdict.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError, run_main
from sdft.common.files import read_json, write_json, write_text
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.evidence.names import MEASURE_NAMES, METHOD_NAMES, TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.evidence.published import document
from sdft.evidence.statements import catalogue, conclude, numbers_of
from sdft.pages.writers import comma_separated, long_table, markdown_table, wrapped
from sdft.statistics import READINGS
from sdft.study.exhibits.schema import Exhibit

WORDS = (
    *("MATCH", "WITHIN", "DIRECTION", "NO DIFFERENCE", "MISMATCH", "INCONCLUSIVE", "NOT TESTABLE"),
    *("INCOMPARABLE", "NOT RUN"),
    "FROM RELEASE",
)
NAMES = {**TASK_NAMES, **METHOD_NAMES, **MEASURE_NAMES}
SLIPS = ("What", "Places", "One", "Another")
# How the ledger's verdict follows from a statement's tests.
ALL_HOLD = (
    "A statement has to hold in every one of its tests: DIRECTION (or WITHIN, where some are WITHIN) needs all of "
    "them, each at 5 %; one MISMATCH or NO DIFFERENCE decides against it, with Holm's procedure over its tests; "
    "anything else is INCONCLUSIVE. The verdict is the reading on these base models, or, where each of them has one "
    "seed, the one for any base model. Intervals end at what is possible; verdicts do not depend on that."
)


def read_verdicts(paths: Sequence[str | Path]) -> dict[str, dict[str, dict[str, Any]]]:
    """The files by scale and item. Raises SdftError for a file that is no verdict, and for an item given twice."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for path in paths:
        record = read_json(path)
        item = record.get("table") or record.get("figure") if isinstance(record, dict) else None
        if not item or not {"scale", "standing"} <= set(record):
            raise SdftError(f"{path} is no verdict of a table or figure; delete it and run the same command again.")
        own = found.setdefault(record["scale"], {})
        if item in own:
            raise SdftError(f"{path} is the second verdict of {item} at scale {record['scale']}; give each once.")
        own[item] = record
    return found


def lines_of(scale: str, records: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Every statement at one scale, in the catalogue's order; what has no file is NOT RUN."""
    lines = []
    for name, statements in catalogue().items():
        record, over_tasks = records.get(name), getattr(numbers_of(name), "ledger_lines", None)
        if over_tasks:
            lines += over_tasks(record)
            continue
        found = {claim["id"]: claim for claim in (record or {}).get("claims", ())}
        empty = Results(Exhibit(name=name, scale=scale, study="", evidence="own", notice=""))
        own = [found.get(statement.id) or conclude(statement, (), empty) for statement in statements]
        lines += [line | {"cost_hours": (record or {}).get("cost_hours")} for line in own]
    return lines


def slips() -> list[dict[str, Any]]:
    """Where the paper contradicts itself: single cells, but those that a wider discrepancy tells of, then the wider."""
    cells = [
        {
            "id": f"{item}-{slip['row']}-{slip['method']}-{slip['column']}",
            "places": [table["place"]],
            "what": ", ".join(NAMES.get(slip[part], slip[part]) for part in ("row", "method", "column")),
            "one": f"printed {slip['printed']}",
            "other": "" if slip["recomputed"] is None else f"its own cells give {slip['recomputed']}",
            "note": slip["note"],
        }
        for item, table in document()["items"].items()
        for slip in table.get("slips", ())
        if "told" not in slip
    ]
    return cells + [dict(entry) for entry in document()["discrepancies"]]


def build(verdicts: dict[str, dict[str, dict[str, Any]]], clock: Clock) -> dict[str, Any]:
    """ledger.json: statements with a verdict for each scale, counts, and the paper's discrepancies."""
    scales = sorted(verdicts)
    standing = {scale: next(iter(verdicts[scale].values()))["standing"] for scale in scales}
    by_scale = {scale: lines_of(scale, verdicts[scale]) for scale in scales}
    statements = []
    stated = {scale: {line["id"]: line for line in lines} for scale, lines in by_scale.items()}
    # A scale whose tables have no such method does not ask about it.
    for name in dict.fromkeys(name for lines in stated.values() for name in lines):
        lines = {scale: lines[name] for scale, lines in stated.items() if name in lines}
        first = {key: next(iter(lines.values()))[key] for key in ("id", "item", "place", "statement", "ours", "test")}
        kept = ("verdict", "counts", "readings", "needed", "reading", "evidence", "cost_hours")
        found = {scale: {key: line.get(key) for key in kept} for scale, line in lines.items()}
        statements.append({**first, "scales": found})
    counts = {
        scale: {word: n for word in WORDS if (n := Counter(line["verdict"] for line in lines)[word])}
        for scale, lines in by_scale.items()
    }
    return {
        "ledger": "claims",
        "scales": scales,
        "notices": {scale: entry["notice"] for scale, entry in standing.items()},
        "standing": standing,
        "counts": counts,
        "claims": [
            {
                **{key: entry[key] for key in ("id", "item", "statement", "ours")},
                "scale": scale,
                **{key: found[key] for key in ("verdict", "counts", "needed")},
                **{name: (found["readings"] or {}).get(name) for name in READINGS},
            }
            for entry in statements
            for scale, found in entry["scales"].items()
        ],
        "statements": statements,
        "discrepancies": slips(),
        "manifest": manifest(
            "ledger",
            clock=clock,
            inputs={scale: sorted(verdicts[scale]) for scale in scales},
        ),
    }


def verdict_at(entry: dict[str, Any], scale: str) -> str:
    """A statement's verdict at a scale; empty where the scale does not ask it."""
    return entry["scales"].get(scale, {}).get("verdict", "")


def _other_reading(entry: dict[str, Any], scale: str) -> str:
    """The reading for any base model, where another one is the verdict."""
    found = entry["scales"].get(scale) or {}
    return "" if found.get("counts") == "any_base" else (found.get("readings") or {}).get("any_base", "")


def _numbers(test: dict[str, Any]) -> str:
    """One test's numbers as text, for csv."""
    if test.get("difference") is None:
        return f"{test['name']}: NOT RUN"
    ends = ["unbounded" if test[end] is None else f"{test[end]:+g}" for end in ("low", "high")]
    holm = "" if test.get("p_holm") is None else f", Holm p against it {test['p_holm']:.2g}"
    return f"{test['name']}: {test['difference']:+g} ({ends[0]} to {ends[1]}){holm}"


def flat(ledger: dict[str, Any]) -> list[dict[str, Any]]:
    """A record a statement and scale, for csv."""
    rows = []
    for entry in ledger["statements"]:
        for scale, result in entry["scales"].items():
            tests = result["evidence"].get("tests", ())
            run = [test for test in tests if test.get("difference") is not None]
            rows.append(
                {
                    **{name: entry[name] for name in ("id", "item", "place", "statement")},
                    "asked_by": "us" if entry["ours"] else "the paper",
                    "scale": scale,
                    "verdict": result["verdict"],
                    "counts": result["counts"],
                    **{name: (result["readings"] or {}).get(name) for name in READINGS},
                    "test": entry["test"],
                    "evidence": "; ".join(map(_numbers, tests)),
                    "published": "; ".join(_published(test) for test in tests if _published(test)),
                    "n_seeds": max((test["n_seeds"] for test in run), default=0),
                    "n_items": max((test["n_items"] for test in run), default=0),
                    "seeds": sorted({seed for test in run for seed in test["seeds"]}),
                    "cost_hours": result["cost_hours"],
                    "reading": result["reading"],
                }
            )
    return rows


def _published(test: dict[str, Any]) -> str:
    value = test.get("published")
    value = value.get("value") if isinstance(value, dict) else value
    return "" if value is None else f"{test['name']}: {value:+g}"


def markdown(ledger: dict[str, Any]) -> str:
    """ledger.md: counts, the statements, the readings behind them, and the discrepancies."""
    scales = ledger["scales"]
    parts = ["# Claims ledger"]
    for scale in scales:
        counts = ", ".join(f"{word} {n}" for word, n in ledger["counts"][scale].items())
        parts.append(f"Scale {scale}: {counts}. {ledger['notices'][scale]}")
    body = [
        [
            entry["place"],
            entry["statement"] + (" (our question)" if entry["ours"] else ""),
            *(said for scale in scales for said in (verdict_at(entry, scale), _other_reading(entry, scale))),
        ]
        for entry in ledger["statements"]
    ]
    columns = [said for scale in scales for said in (f"Verdict, {scale}", f"For any base model, {scale}")]
    header = ["Place", "Statement", *columns]
    parts.append(markdown_table(header, body, words=len(header)))
    parts += ["## Evidence", wrapped(ALL_HOLD)]
    for entry in ledger["statements"]:
        found = [
            f"{scale}, {result['verdict']}: {result['reading']}{_behind(result)}"
            for scale, result in entry["scales"].items()
        ]
        lines = (wrapped(text, "- ", "  ") for text in (f"Test `{entry['id']}`: {entry['test']}", *found))
        parts += [f"### {entry['statement']}", "\n".join(lines)]
    parts += [
        "## Where the paper contradicts itself, its code or its data",
        markdown_table(SLIPS, discrepancy_rows(ledger), words=4),
    ]
    return "\n\n".join(parts) + "\n"


def _behind(result: dict[str, Any]) -> str:
    """The seeds and items behind a reading, or what it would cost, as a sentence more; empty where neither is known."""
    run = [test for test in result["evidence"].get("tests", ()) if test.get("difference") is not None]
    if not run:
        hours = result["cost_hours"]
        return "" if hours is None else f" It would cost about {hours:.3g} device-hours."
    seeds = sorted({seed for test in run for seed in test["seeds"]})
    items = sorted({test["n_items"] for test in run})
    return f" Seeds {', '.join(map(str, seeds))}; items {'/'.join(map(str, items))}."


def discrepancy_rows(ledger: dict[str, Any]) -> list[list[str]]:
    """The discrepancies as rows of text."""
    return [
        [
            entry["what"],
            "; ".join(entry["places"]),
            entry["one"],
            " - ".join(filter(None, [entry["other"], entry.get("note")])),
        ]
        for entry in ledger["discrepancies"]
    ]


def latex(ledger: dict[str, Any]) -> str:
    """ledger.tex: the statements and the discrepancies as two long tables."""
    scales = ledger["scales"]
    header = ["Place", "Statement", *(f"Verdict, {scale}" for scale in scales)]
    body = [
        [entry["place"], entry["statement"], *(verdict_at(entry, scale) for scale in scales)]
        for entry in ledger["statements"]
    ]

    notices = " ".join(f"{scale}: {ledger['notices'][scale]}" for scale in scales)
    slips = "Where the paper contradicts itself, its code or its data."
    return "\n".join(
        [
            long_table(f"Claims of the paper. {notices}", header, body, "p{3.2cm}p{8cm}" + "l" * len(scales)),
            long_table(slips, SLIPS, discrepancy_rows(ledger), "p{3cm}p{4cm}p{4cm}p{4cm}"),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.pages.ledger",
        description=__doc__.split("\n")[0],
        epilog="example: python -m sdft.pages.ledger --verdicts results/mini/tables/*/verdict.json --out /tmp/claims",
    )
    parser.add_argument(
        "--verdicts", nargs="+", required=True, metavar="FILE", help="verdict.json of tables, json of figures"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for ledger.csv, .md, .tex and .json")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    ledger, out = build(read_verdicts(options.verdicts), Clock()), Path(options.out)
    write_text(out / "ledger.csv", comma_separated(flat(ledger)))
    write_text(out / "ledger.md", markdown(ledger))
    write_text(out / "ledger.tex", latex(ledger))
    write_json(out / "ledger.json", ledger)


if __name__ == "__main__":
    run_main(main)
