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
from sdft.pages.drawings import curves
from sdft.pages.html import code, folded, table
from sdft.pages.html import command as block
from sdft.pages.shell import page as frame
from sdft.pages.site.found import lines
from sdft.pages.writers import INTERVALS, markdown_table, value_text

COLUMNS = {"new_task": "New task", "prior_average": "Prior average"}


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
    header += ["KL to base (nats a token)"] if found["distance"] else []
    body = []
    for row in found["models"]:
        rate = "" if row["learning_rate"] is None else f"{row['learning_rate']:g}"
        cells = [row["title"], rate, *(value_text(row[name]) for name in quantities)]
        cells += [f"{row['benchmarks'][name]:.1f}" for name in found["benchmarks"]]
        if found["benchmarks"]:
            kept = row.get("kept_within_1_point")
            cells.append("" if kept is None else f"{kept * len(found['benchmarks']):.0f} of {len(found['benchmarks'])}")
        if found["distance"]:
            kl = row.get("kl_to_base")
            cells.append("" if kl is None else f"{kl:.3f}")
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
    if found["distance"]:
        said.append(f"KL(model || base) is along the model's own answers to {found['distance']} prompts of no task.")
    return [*said, *(f"{note[0].upper()}{note[1:]}." for note in found["notes"])]


def markdown(found: dict[str, Any]) -> str:
    """report.md."""
    parts = ["# Methods compared on own data", f"**{found['answer']}**", markdown_table(*results(found), words=2)]
    parts += [markdown_table(*differences(found)), " ".join(_said(found)), f"```\n{command(found)}\n```"]
    return "\n\n".join(parts) + "\n"


def page(found: dict[str, Any], out: Path) -> str:
    """report.html: the answer, the tables, some answers of each model, and how to repeat it."""

    def shown(caption: str, header: list[str], body: list[list[str]], words: int) -> str:
        cells = [list(map(escape, row)) for row in body]
        return table(caption, list(map(escape, header)), cells, numbers=range(words, len(header)))

    runs = [
        [escape(row["title"]), code(Path(run).relative_to(out)), _cost(run), _curve(run)]
        for row in found["models"]
        for run in row["runs"]
    ]
    settings = "; ".join(f"{name} {value}" for name, value in found["settings"].items())
    body = [
        "<h1>Methods compared on own data</h1>",
        f'<p class="answer">{escape(found["answer"])}</p>',
        f"<p>{escape(' '.join(_said(found)))}</p>",
        "<h2>Results</h2>",
        shown("Every model", *results(found), words=2),
        "<h2>Differences</h2>",
        shown("Paired differences", *differences(found), words=1),
        "<h2>Answers</h2>",
        *(_sample(sample) for sample in answered(found, out)),
        "<h2>Runs</h2>",
        "<p>Each folder holds the command's run.json, metrics.jsonl with a line a step, and weights/, which plain "
        "transformers loads.</p>",
        table("Runs", ["Model", "Folder", "Training", "Loss"], runs),
        "<h2>To repeat</h2>",
        block(command(found)),
        f"<p>Model <code>{escape(found['model'])}</code>. Settings: {escape(settings)}.</p>",
    ]
    return frame("Methods compared on own data", "\n".join(body))


def _cost(run: str) -> str:
    record = read_json(Path(run) / "model.json")
    return escape(f"{record['steps']} steps, {record['seconds']:.0f} s")


def _curve(run: str) -> str:
    steps = lines(Path(run) / "metrics.jsonl")
    return curves("Loss", "", {"as trained": [(row["step"], row["loss"]) for row in steps]})


def _sample(sample: dict[str, Any]) -> str:
    said = [
        [escape(name), "right" if correct else "wrong", f'<p class="said">{escape(text)}</p>']
        for name, correct, text in sample["answers"]
    ]
    asked = f'<p class="said">{escape(sample["question"])}</p><p>Reference: {escape(sample["answer"])}</p>'
    answers = table(f"Answers to {escape(sample['id'])}", ["Model", "Right", "Answer"], said)
    return folded(f"Question {sample['id']}", asked + answers)
