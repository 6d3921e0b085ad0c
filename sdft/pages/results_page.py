"""Fragments of the results page: the ledger, every table and every figure. They compute nothing.

What has no files yet shows as NOT RUN, so that the page can be made at any time.

`python -m sdft.pages.results_page --results results/mini --out docs/mini/figures.md` writes a page of the
figures' pngs, which are to lie beside it, each with its caption.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError, run_main
from sdft.common.files import read_json, write_text
from sdft.evidence.published import document
from sdft.pages.ledger import verdict_at
from sdft.pages.table5_page import MEANING, badge, inline, label, stamp, table
from sdft.study.exhibits import find, names

# Titles of what is shown; Table 5 has a page of its own.
TABLES = {name: find(name).title for name in names("table") if name != "table5"}
FIGURES = {name: find(name).title for name in names("figure")}


@dataclass(frozen=True)
class Gallery:
    """What was found under results/{scale}: verdicts of tables, figures with their drawings, and the ledger."""

    folder: Path
    tables: dict[str, dict[str, Any]]
    figures: dict[str, tuple[dict[str, Any], str]]
    ledger: dict[str, Any] | None

    @property
    def scales(self) -> list[str]:
        """The scales of what was found, as the files themselves say."""
        return list(self.standing)

    @property
    def standing(self) -> dict[str, dict[str, str]]:
        """By scale, what its numbers are worth."""
        if self.ledger:
            return self.ledger["standing"]
        found = (*self.tables.values(), *(numbers for numbers, _ in self.figures.values()))
        return {record["scale"]: record["standing"] for record in found}


def load(results: str | Path) -> Gallery:
    """Read what there is. Raises SdftError naming a broken file."""
    folder = Path(results)
    tables = {name: folder / f"tables/{name}/verdict.json" for name in TABLES}
    figures = {name: folder / f"figures/{name}" for name in FIGURES}
    ledger = folder / "claims/ledger.json"
    return Gallery(
        folder=folder,
        tables={name: read_json(path) for name, path in tables.items() if path.exists()},
        figures={
            name: (read_json(f"{path}.json"), Path(f"{path}.svg").read_text(encoding="utf-8"))
            for name, path in figures.items()
            if Path(f"{path}.json").exists() and Path(f"{path}.svg").exists()
        },
        ledger=read_json(ledger) if ledger.exists() else None,
    )


def header(gallery: Gallery) -> str:
    """What the page is, and how the claims came out."""
    parts = list(map(stamp, gallery.standing.values()))
    words = f", scale {escape(' and '.join(gallery.scales))}" if gallery.scales else ""
    parts.append(f"<h1>Every result of the SDFT paper{words}</h1>")
    for scale in gallery.scales if gallery.ledger else ():
        parts.append(f"<p>{escape(gallery.ledger['notices'].get(scale, ''))}</p>")
        counts = gallery.ledger["counts"].get(scale, {})
        parts.append(f"<p>Claims: {', '.join(f'{badge(word)} {n}' for word, n in counts.items())}</p>")
    absent = [title for name, title in {**TABLES, **FIGURES}.items() if name not in gallery.tables | gallery.figures]
    if absent:
        parts.append(f"<p>{badge('NOT RUN')} {escape(', '.join(absent))}</p>")
    links = [f'<a href="#{name}">{escape(title)}</a>' for name, title in {**FIGURES, **TABLES}.items()]
    parts.append(f'<p><a href="#claims">Claims</a>, {", ".join(links)}, <a href="#discrepancies">discrepancies</a></p>')
    return "".join(parts)


def claims(gallery: Gallery) -> str:
    """The ledger: a line a statement, its evidence folded behind it."""
    title = '<h2 id="claims">Claims of the paper</h2>'
    if gallery.ledger is None:
        return f"{title}<p>{badge('NOT RUN')} no ledger yet</p>"
    scales = gallery.ledger["scales"]
    body = []
    for entry in gallery.ledger["statements"]:
        ours = " <small>(our question)</small>" if entry["ours"] else ""
        readings = "".join(
            f"<p>{escape(scale) + ': ' if len(scales) > 1 else ''}{escape(result['reading'])}{_cost(result)}</p>"
            for scale, result in entry["scales"].items()
        )
        body.append(
            [
                escape(entry["place"]),
                f'<div class="wide">{escape(entry["statement"])}{ours}<details><summary>evidence</summary>{readings}'
                f"<p><small>{escape(entry['test'])}</small></p></details></div>",
                *(badge(verdict_at(entry, scale)) for scale in scales),
            ]
        )
    words = "; ".join(f"{badge(word)} {escape(text)}" for word, text in MEANING.items())
    return f"{title}{table(['Place', 'Statement', *map(escape, scales)], body)}<p><small>{words}</small></p>"


def _cost(result: dict[str, Any]) -> str:
    hours = result.get("cost_hours")
    return f" Cost: about {hours:.3g} device-hours." if result["verdict"] == "NOT RUN" and hours is not None else ""


def one_table(gallery: Gallery, name: str) -> str:
    """A table's sections, the paper's own set apart, and its claims."""
    verdict = gallery.tables.get(name)
    if verdict is None:
        return f'<h2 id="{name}">{escape(TABLES[name])}</h2><p>{badge("NOT RUN")} {_subject(name)}</p>'
    parts = [f'<h2 id="{name}">{escape(verdict["title"])}</h2>']
    if not verdict["enabled"]:
        parts.append(f"<p>{badge('NOT RUN')} {escape(verdict['reason'])}</p>")
    for section in verdict["sections"]:
        words = section.get("words", 1)
        head = f"<h3>{escape(section['title'])}</h3>" if section["title"] else ""
        shown = table(
            [escape(text) for text in section["header"]],
            [[badge(text) if text == "NOT RUN" else label(text) for text in row] for row in section["body"]],
            numbers_from=words,
        )
        fragment = f"{head}{shown}<p><small>{escape(section['note'])}</small></p>"
        parts.append(f'<div class="papers">{fragment}</div>' if section.get("paper") else fragment)
    return "".join(parts)


def _subject(name: str) -> str:
    entry = document()["items"].get(name) or document()["sweeps"].get(name) or {}
    return escape(entry.get("subject", "no files yet"))


def one_figure(gallery: Gallery, name: str) -> str:
    """A figure's drawing with its caption, and what it does not show."""
    title = f'<h2 id="{name}">{escape(FIGURES[name])}</h2>'
    found = gallery.figures.get(name)
    if found is None:
        return f"{title}<p>{badge('NOT RUN')} {_subject(name)}</p>"
    numbers, drawing = found
    caption = escape(numbers["caption"])
    absent = [entry.get("what") or entry.get("arm") or entry.get("path") or "" for entry in numbers["not_drawn"]]
    missing = f"<p>{badge('NOT RUN')} {escape('; '.join(map(str, absent)))}</p>" if absent else ""
    return (
        f'{title}<div class="scroll"><div class="figure" role="img" aria-label="{caption}" style="min-width: 40rem">'
        f"{inline(drawing)}</div></div><p><small>{caption}</small></p>{missing}"
    )


def discrepancies(gallery: Gallery) -> str:
    """Where the paper contradicts itself, its code or its data."""
    title = '<h2 id="discrepancies">Where the paper contradicts itself, its code or its data</h2>'
    if gallery.ledger is None:
        return f"{title}<p>{badge('NOT RUN')} no ledger yet</p>"
    body = [
        [
            escape(entry["what"]),
            escape("; ".join(entry["places"])),
            escape(entry["one"]),
            escape(". ".join(filter(None, [entry["other"], entry.get("note")]))),
        ]
        for entry in gallery.ledger["discrepancies"]
    ]
    return title + table(["What", "Places", "One", "Another"], body)


def figures_page(gallery: Gallery) -> str:
    """figures.md: every figure's png with its caption, which says n and seeds."""
    parts = ["# Figures"]
    for name, title in FIGURES.items():
        found = gallery.figures.get(name)
        caption = f"NOT RUN: {_subject(name)}" if found is None else " ".join(found[0]["caption"].split())
        picture = [] if found is None else [f"![{title}]({name}.png)"]
        parts += [f"## {title}", *picture, caption]
    return "\n\n".join(parts) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.pages.results_page",
        description="Write a page of the figures' pngs with their captions.",
        epilog="example: python -m sdft.pages.results_page --results results/mini --out figures.md",
    )
    parser.add_argument("--results", required=True, metavar="DIR", help="results/{scale}, whose figures are shown")
    parser.add_argument("--out", required=True, metavar="FIGURES.md", help="the page, to lie beside the pngs")
    options = parser.parse_args(arguments)
    found = load(options.results)
    if not found.figures:
        raise SdftError(f"{options.results}/figures holds no figure; ask snakemake for one first.")
    write_text(options.out, figures_page(found))


if __name__ == "__main__":
    run_main(main)
