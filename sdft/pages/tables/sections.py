"""A table as csv, Markdown and LaTeX. Its verdict.json holds `rows` (records, for csv) and `sections` (text, to read):
{"title", "header", "body": rows of cells, "note"}; a section of the paper's own numbers is marked `paper`."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

LEADING = ("task", "label", "method", "arm", "metric", "unit", "published", "mean", "low", "high", "n_seeds", "n_items")


def items_text(rows: Sequence[dict[str, Any]]) -> str:
    """How many seeds and items are behind the rows, as a sentence."""

    def span(name: str) -> str:
        found = sorted({row[name] for row in rows if row.get(name)})
        return " to ".join(map(str, dict.fromkeys((found[0], found[-1])))) if found else "0"

    seeds = span("n_seeds")
    return f"n = {seeds} seed{'' if seeds == '1' else 's'}, {span('n_items')} items."


def comma_separated(rows: Sequence[dict[str, Any]]) -> str:
    """All rows; columns are the union of their keys, the usual ones first."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    columns = [*(name for name in LEADING if name in keys), *(name for name in keys if name not in LEADING)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = [row.get(name) for name in columns]
        writer.writerow([" ".join(map(str, value)) if isinstance(value, list) else value for value in values])
    return text.getvalue()


def markdown_table(header: Sequence[str], body: Sequence[Sequence[str]], words: int = 1) -> str:
    """A Markdown table whose first `words` columns hold text; the others align right."""
    rule = ["---" if k < words else "---:" for k in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"

    return "\n".join(map(line, (header, rule, *body)))


def markdown(verdict: dict[str, Any]) -> str:
    """table.md: the sections, and the claims with their verdicts."""
    parts = [f"# {verdict['title']}, scale {verdict['scale']}", verdict["notice"]]
    if not verdict["enabled"]:
        parts.append(f"NOT RUN. {verdict['reason']}")
    for section in verdict["sections"]:
        if section["title"]:
            parts.append(f"## {section['title']}")
        if section["body"]:
            parts.append(markdown_table(section["header"], section["body"], section.get("words", 1)))
        if section["note"]:
            parts.append(section["note"])
    if verdict["claims"]:
        body = [[claim["statement"], claim["verdict"], claim["reading"]] for claim in verdict["claims"]]
        parts += ["## Claims", markdown_table(["Claim", "Verdict", "Reading"], body, words=3)]
    return "\n\n".join(part for part in parts if part) + "\n"


SPECIAL = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#"}


def escape(text: str) -> str:
    """Text for LaTeX."""
    return "".join(SPECIAL.get(letter, letter) for letter in str(text))


def latex(verdict: dict[str, Any]) -> str:
    """table.tex: a table a section, for booktabs; the caption names the scale and says whose numbers they are."""
    parts = []
    for section in verdict["sections"]:
        if not section["body"]:
            continue
        words = section.get("words", 1)
        title = " ".join(filter(None, [f"{verdict['title']}.", section["title"] and f"{section['title']}."]))
        notice = "" if section.get("paper") else verdict["notice"]
        off = "" if verdict["enabled"] else verdict["reason"]
        parts += [
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{' '.join(filter(None, map(escape, [title, notice, off, section['note']])))}}}",
            r"\begin{tabular}{" + "l" * words + "r" * (len(section["header"]) - words) + "}",
            r"\toprule",
            " & ".join(map(escape, section["header"])) + r" \\",
            r"\midrule",
            *(" & ".join(map(escape, row)) + r" \\" for row in section["body"]),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    return "\n".join(parts)


def texts(verdict: dict[str, Any]) -> dict[str, str]:
    """The table's files by their suffix."""
    return {"csv": comma_separated(verdict["rows"]), "md": markdown(verdict), "tex": latex(verdict)}
