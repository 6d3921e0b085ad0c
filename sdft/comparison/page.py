"""A comparison to read: report.html and report.md. They show numbers and compute none."""

from __future__ import annotations

import json
import shlex
from html import escape
from pathlib import Path
from typing import Any

from sdft.common.files import read_json
from sdft.comparison.numbers import QUANTITIES
from sdft.comparison.samples import answered
from sdft.evidence.names import METRIC_NAMES
from sdft.pages.table5_page import label, table
from sdft.pages.writers import INTERVALS, markdown_table, value_text

COLUMNS = {"new_task": "New task", "prior_average": "Prior average"}
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0; font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }}
main {{ max-width: 72rem; margin: 0 auto; padding: 1rem; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.25rem; margin-top: 2rem; }}
.claim {{ font-size: 1.1rem; font-weight: 600; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .88rem; }}
th, td {{ padding: .3rem .6rem; border-bottom: 1px solid #8888; text-align: left; vertical-align: top; }}
td.number, th.number {{ text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }}
pre {{ white-space: pre-wrap; }} code {{ font-size: .85em; overflow-wrap: anywhere; }}
@media print {{ .scroll {{ overflow: visible; }} }}
</style>
</head>
<body><main>
{body}
</main></body>
</html>
"""


def command(found: dict[str, Any]) -> str:
    """The command that makes the comparison again."""
    words = []
    for name, value in found["spec"].items():
        if value in (None, [], {}):
            continue
        words.append(f"--{name.replace('_', '-')}")
        if isinstance(value, dict):
            words.append(shlex.quote(json.dumps(value)))
        else:
            words += [shlex.quote(str(part)) for part in (value if isinstance(value, list) else [value])]
    return " ".join(["python -m sdft compare", *words])


def results(found: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The table of all models: header and body."""
    quantities = [name for name in COLUMNS if name in found["models"][0]]
    header = ["Model", "Learning rate", *(COLUMNS[name] for name in quantities)]
    header += [METRIC_NAMES.get(name, name) for name in found["benchmarks"]]
    header += ["Kept within 1 point"] if found["benchmarks"] else []
    body = []
    for row in found["models"]:
        rate = "" if row["learning_rate"] is None else f"{row['learning_rate']:g}"
        cells = [row["title"], rate, *(value_text(row[name]) for name in quantities)]
        cells += [f"{row['benchmarks'][name]:.1f}" for name in found["benchmarks"]]
        if found["benchmarks"]:
            kept = row.get("kept_within_1_point")
            cells.append("" if kept is None else f"{kept * len(found['benchmarks']):.0f} of {len(found['benchmarks'])}")
        body.append(cells)
    return header, body


def differences(found: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The table of all paired differences."""
    body = []
    for entry in found["differences"]:
        low, high = ("unbounded" if entry[end] is None else f"{entry[end]:+.1f}" for end in ("low", "high"))
        body.append(
            [
                f"{entry['names'][0]} minus {entry['names'][1]}, {QUANTITIES[entry['quantity']]}",
                f"{entry['difference']:+.1f} [{low}, {high}]",
                "< 0.0001" if entry["p_holm"] < 1e-4 else f"{entry['p_holm']:.2g}",
                entry["verdict"],
            ]
        )
    return ["Difference", "Points", "p (Holm)", "What it says"], body


def _said(found: dict[str, Any]) -> list[str]:
    """How the numbers came about, in sentences."""
    rows, seeds = found["rows"], len(found["spec"]["seeds"])
    said = [
        f"{rows['train']} rows trained on, {rows['test']} scored on by {found['spec']['scorer']}.",
        f"Percent, {INTERVALS}; differences are paired by item and seed, and p is corrected for all of them (Holm).",
    ]
    if seeds == 1:
        said.append("One seed: the intervals cover the choice of items only, and another seed may come out otherwise.")
    return [*said, *(f"{note[0].upper()}{note[1:]}." for note in found["notes"])]


def markdown(found: dict[str, Any]) -> str:
    """report.md."""
    parts = ["# Methods compared on own data", f"**{found['answer']}**", markdown_table(*results(found), words=2)]
    parts += [markdown_table(*differences(found)), " ".join(_said(found)), f"```\n{command(found)}\n```"]
    return "\n\n".join(parts) + "\n"


def page(found: dict[str, Any], out: Path) -> str:
    """report.html: the answer, the tables, some answers of each model, and how to repeat it."""

    def shown(header: list[str], body: list[list[str]], words: int) -> str:
        return table(list(map(escape, header)), [[label(cell) for cell in row] for row in body], numbers_from=words)

    runs = [
        [label(row["title"]), f"<code>{escape(str(Path(run).relative_to(out)))}</code>", _cost(run)]
        for row in found["models"]
        for run in row["runs"]
    ]
    settings = "; ".join(f"{name} {value}" for name, value in found["settings"].items())
    body = [
        "<h1>Methods compared on own data</h1>",
        f'<p class="claim">{escape(found["answer"])}</p>',
        f"<p>{escape(' '.join(_said(found)))}</p>",
        "<h2>Results</h2>",
        shown(*results(found), words=2),
        "<h2>Differences</h2>",
        shown(*differences(found), words=1),
        "<h2>Answers</h2>",
        *(_sample(sample) for sample in answered(found, out)),
        "<h2>Runs</h2>",
        "<p>Each folder holds the command's run.json, metrics.jsonl with a line a step, and weights/, which plain "
        "transformers loads.</p>",
        table(["Model", "Folder", "Training"], runs),
        "<h2>To repeat</h2>",
        f"<pre><code>{escape(command(found))}</code></pre>",
        f"<p>Model <code>{escape(found['model'])}</code>. Settings: {escape(settings)}.</p>",
    ]
    return PAGE.format(title="Methods compared on own data", body="\n".join(body))


def _cost(run: str) -> str:
    record = read_json(Path(run) / "model.json")
    return escape(f"{record['steps']} steps, {record['seconds']:.0f} s")


def _sample(sample: dict[str, Any]) -> str:
    said = [
        [label(name), "right" if correct else "wrong", f"<pre>{escape(text)}</pre>"]
        for name, correct, text in sample["answers"]
    ]
    return (
        f"<details open><summary>{escape(sample['id'])}</summary><pre>{escape(sample['question'])}</pre>"
        f"<p>Reference: {escape(sample['answer'])}</p>{table(['Model', '', 'Answer'], said)}</details>"
    )
