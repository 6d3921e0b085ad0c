"""`python -m benchmarks.arithmetics NAME=VERDICT.json ... --out FILE.json`: claims in several arithmetics.

Sums of floating-point numbers depend on their order, so another instruction set or number of threads gives other
weights after a training, and may give other winners of a sweep. The first VERDICT.json of a NAME is a Table 5 that was
run whole, sweep included, for example

  ATEN_CPU_CAPABILITY=default snakemake --cores 2 table5
  snakemake --cores 2 --set-threads candidate=2 train=2 -- table5

in clones of their own (Snakemake sets OMP_NUM_THREADS of a job to its rule's threads). Rounding is a source of variance
like a seed: a claim whose verdict differs between arithmetics is INCONCLUSIVE, and a mean that leaves another
arithmetic's interval is named. Where the files lie in their results folders, the sweeps are compared too. Further
files of a NAME are other tables or figures made from that Table 5 (figures/figure6.json): their claims are compared
where two arithmetics or more have them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError, run_main
from sdft.common.files import read_json, write_json


def compare(
    tables: Mapping[str, Mapping[str, Any]], further: Mapping[str, Sequence[Mapping[str, Any]]] | None = None
) -> dict[str, Any]:
    """The claims and cells of Table 5 side by side, by arithmetic, and further claims that several arithmetics have.

    tables: verdict.json of each, by its name; further: its other tables and figures, by its name; of what was not run
    nothing is compared. Raises SdftError where the tables are not of one scale, its claims and cells, or a further
    claim does not have the same tests everywhere.
    """
    shapes = {
        (table["scale"], tuple(claim["id"] for claim in table["claims"]), tuple(map(_place, table["rows"])))
        for table in tables.values()
    }
    if len(shapes) > 1:
        raise SdftError(f"{', '.join(tables)} are not tables of the same scale, claims and cells; run the same study.")
    by_claim: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, table in tables.items():
        for content in (table, *(further or {}).get(name, ())):
            if content["scale"] != table["scale"]:
                raise SdftError(f"a file of {name} is of scale {content['scale']}, its Table 5 of {table['scale']}.")
            for claim in content["claims"]:
                entries = by_claim.setdefault(claim["id"], {})
                if name in entries:
                    raise SdftError(f"{name} has {claim['id']} in two files; name each table or figure once.")
                if claim["verdict"] != "NOT RUN":
                    entries[name] = claim
    claims = []
    for claim, entries in by_claim.items():
        if len({_tests(entry) for entry in entries.values()}) > 1:
            raise SdftError(f"{claim} is asked of other runs or tasks in {' and '.join(entries)}; run the same study.")
        verdicts = {name: _found(entry) for name, entry in entries.items()}
        if len(verdicts) > 1:
            counted = "INCONCLUSIVE" if len(set(verdicts.values())) > 1 else next(iter(verdicts.values()))
            claims.append({"id": claim, "verdicts": verdicts, "counted": counted})
    rows = zip(*(table["rows"] for table in tables.values()), strict=True)
    cells = [_cell(dict(zip(tables, row, strict=True))) for row in rows]
    means = [cell for cell in cells if cell is not None]
    return {
        "claims": claims,
        "differing": [claim["id"] for claim in claims if len(set(claim["verdicts"].values())) > 1],
        "cells": means,
        "outside": [cell for cell in means if cell["outside"]],
        "largest_difference": max((cell["difference"] for cell in means), default=None),
    }


def _found(claim: Mapping[str, Any]) -> str:
    """A claim's verdict as this run alone has it, also where an earlier record made it INCONCLUSIVE."""
    if claim["verdict"] != "INCONCLUSIVE":
        return claim["verdict"]
    return (claim.get("readings") or {}).get(claim.get("counts"), "INCONCLUSIVE")


def _tests(claim: Mapping[str, Any]) -> tuple[Any, ...]:
    """The names of a claim's tests, which say what is compared on which task, with their runs; none of Table 5's."""
    tests = (claim.get("evidence") or {}).get("tests", ())
    return tuple((test["name"], tuple(test.get("runs", ()))) for test in tests)


def _place(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["task"], row["arm"], row["metric"]


def _cell(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """One cell's means by arithmetic, in percent, and the arithmetics whose mean leaves another's interval."""
    if any(row["mean"] is None for row in rows.values()):
        return None
    means = {name: row["mean"] for name, row in rows.items()}
    outside = [
        name
        for name, mean in means.items()
        if any(row["low"] is not None and not row["low"] <= mean <= row["high"] for row in rows.values())
    ]
    task, arm, metric = _place(next(iter(rows.values())))
    difference = round(max(means.values()) - min(means.values()), 3)
    return {"task": task, "arm": arm, "metric": metric, "means": means, "difference": difference, "outside": outside}


def rankings(verdict: Path) -> dict[str, list[dict[str, Any]]]:
    """The candidates of each sweep beside a verdict.json in a results folder, best first; none where there is none.

    Keys are "task/arm"; a candidate has its hyper-parameters and its validation score.
    """
    found = {}
    for path in sorted((verdict.resolve().parent.parent.parent / "selected").glob("*/*.json")):
        rows = read_json(path)["ranking"]
        found[f"{path.parent.name}/{path.stem}"] = [
            row["hyperparameters"] | {"validation": round(row["validation"], 4)} for row in rows
        ]
    return found


def compare_sweeps(sweeps: Mapping[str, Mapping[str, list[dict[str, Any]]]], rows: list[Any]) -> list[dict[str, Any]]:
    """The sweeps behind the rows of Table 5 that all arithmetics have, and whether they have the same winner."""
    wanted = dict.fromkeys(f"{row['task']}/{row['arm']}" for row in rows)
    found = []
    for name in wanted:
        if not all(name in ranking for ranking in sweeps.values()):
            continue
        entries = {arithmetic: ranking[name] for arithmetic, ranking in sweeps.items()}
        winners = [{key: value for key, value in entry[0].items() if key != "validation"} for entry in entries.values()]
        same = all(winner == winners[0] for winner in winners)
        found.append({"sweep": name, "same_winner": same, "candidates": entries})
    return found


def as_text(found: Mapping[str, Any]) -> str:
    """A line a claim, then how far the cells are apart."""
    lines = [
        f"{claim['counted']:14} {claim['id']:36} "
        + ", ".join(f"{name} {word}" for name, word in claim["verdicts"].items())
        for claim in found["claims"]
    ]
    lines.append(f"{len(found['differing'])} of {len(found['claims'])} claims differ")
    if found["cells"]:
        lines.append(
            f"cells differ by at most {found['largest_difference']:.1f} points; in {len(found['outside'])} of "
            f"{len(found['cells'])} a mean leaves another arithmetic's interval"
        )
    if sweeps := found.get("sweeps"):
        lines.append(f"{sum(not each['same_winner'] for each in sweeps)} of {len(sweeps)} sweeps have other winners")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "tables",
        nargs="+",
        metavar="NAME=VERDICT.json",
        help="an arithmetic and its Table 5; given again, another of its tables or figures",
    )
    parser.add_argument("--out", required=True, metavar="FILE.json", help="the record")
    options = parser.parse_args(arguments)
    named: dict[str, list[str]] = {}
    for name, _, path in (text.partition("=") for text in options.tables):
        named.setdefault(name, []).append(path)
    if len(named) < 2 or not all(all(paths) for paths in named.values()):
        raise SdftError("name at least two arithmetics, each as NAME=results/mini/tables/table5/verdict.json.")
    tables = {name: read_json(paths[0]) for name, paths in named.items()}
    try:
        further = {name: [read_json(path) for path in paths[1:]] for name, paths in named.items()}
        found = compare(tables, further)
    except (KeyError, TypeError) as error:
        files = ", ".join(path for paths in named.values() for path in paths)
        raise SdftError(
            f"one of {files} has no claims, or the first of a name is no verdict.json of Table 5 ({error!r})."
        ) from None
    sweeps = {name: rankings(Path(paths[0])) for name, paths in named.items()}
    found["sweeps"] = compare_sweeps(sweeps, next(iter(tables.values()))["rows"])
    made = {name: [content["manifest"] for content in (table, *further[name])] for name, table in tables.items()}
    write_json(Path(options.out), found | {"manifests": made})
    print(as_text(found))


if __name__ == "__main__":
    run_main(main)
