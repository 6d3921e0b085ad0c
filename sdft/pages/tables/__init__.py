"""Tables of the paper from scores: every cell with its interval beside the printed number, and a verdict a claim.

`python -m sdft.pages.tables --plan PLAN.json --out DIR` writes table.csv, table.md, table.tex and verdict.json of the
item that the plan names. What was not run shows as NOT RUN, and so does all of a study that is switched off.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sdft.common.errors import SdftError, did_you_mean
from sdft.common.files import write_json, write_text
from sdft.common.provenance import Clock
from sdft.evidence.outcomes import read_study
from sdft.evidence.verdicts import Tolerance as Tolerance
from sdft.pages.tables import ablations, cost, foreign, measured, sections, sweeps, table5

# item -> what makes its verdict.json, and what writes it as csv, Markdown and LaTeX
TABLES = {
    "table1": (measured.table1, sections.texts),
    "table2": (measured.table2, sections.texts),
    "table3": (sweeps.table3, sections.texts),
    "table4": (sweeps.table4, sections.texts),
    "table5": (table5.table5, table5.texts),
    "ablations": (ablations.ablations, sections.texts),
    "foreign": (foreign.foreign, sections.texts),
    "cost": (cost.cost, sections.texts),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sdft.pages.tables", description=__doc__.split("\n")[0])
    parser.add_argument("--plan", required=True, help="PLAN.json that names the runs and files behind every cell")
    parser.add_argument("--out", required=True, help="folder for table.csv, table.md, table.tex and verdict.json")
    options = parser.parse_args(arguments)
    clock, study, out = Clock(), read_study(options.plan), Path(options.out)
    if study.table not in TABLES:
        raise SdftError(f"{options.plan} asks for the table {study.table!r}; {did_you_mean(study.table, TABLES)}")
    make, write = TABLES[study.table]
    verdict = make(study, clock)
    for suffix, text in write(verdict).items():
        write_text(out / f"table.{suffix}", text)
    write_json(out / "verdict.json", verdict)
