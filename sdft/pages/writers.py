"""Tables as csv, Markdown and LaTeX: the one place that knows these forms.

A table's verdict.json holds `rows` (records, for csv) and `sections` (text, to read): {"title", "header", "body": rows
of cells, "note"}. The first `words` columns of a section hold text, 1 where it does not say; one of the paper's own
numbers is marked `paper`.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from textwrap import fill
from typing import Any

from sdft.evidence.names import METHOD_NAMES, UNTRAINED

LEADING = ("task", "label", "method", "arm", "metric", "unit", "published", "mean", "low", "high", "n_seeds", "n_items")
# What `value_text` shows, for the line under a table.
INTERVALS = "mean [low, high] with the 95 % interval over seeds and test items"
SPECIAL = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#"}


def value_text(row: dict[str, Any], form: str | None = None, between: str = " ") -> str:
    """A value as every table and figure shows it: mean [low, high] in the row's unit, or NOT RUN.

    The ends are shown and no half-width, which an interval that is cut at the ends of its scale does not have. `form`
    formats all three numbers; "z" in it keeps a rounded zero from being shown as -0.
    """
    if row["mean"] is None:
        return "NOT RUN"
    if form is None:
        form = "z.0f" if row.get("unit") == "tokens" and row["mean"] >= 100 else "z.1f"
    mean, low, high = ("" if row[name] is None else format(row[name], form) for name in ("mean", "low", "high"))
    return f"{mean}{between}[{low}, {high}]" if low and high else f"{mean}{between}(one number, no interval)"


def span(values: Iterable[int | None]) -> str:
    """Counts as text: one number, or the smallest to the largest; 0 where there is none."""
    found = sorted(filter(None, values))
    return " to ".join(map(str, dict.fromkeys((found[0], found[-1])))) if found else "0"


def wrapped(text: str, first: str = "", later: str = "") -> str:
    """Prose of a Markdown file in lines that an editor and a diff can show; `first` and `later` begin the lines."""
    look = {"initial_indent": first, "subsequent_indent": later}
    return fill(text, 120, break_long_words=False, break_on_hyphens=False, **look)


def counted(count: int | str, word: str) -> str:
    """A count with its word: 1 seed, 3 seeds, 2 to 3 seeds."""
    return f"{count} {word}{'' if str(count) == '1' else 's'}"


def runs_text(row: dict[str, Any]) -> str:
    """The models behind a row: 10 runs: 5 base models x 2 seeds; or 5 base models, where nothing was trained."""
    bases = Counter(row.get("bases") or ())
    if row.get("method") in UNTRAINED and len(bases) == row["n_seeds"]:
        return counted(len(bases), "base model")
    if not bases:
        return counted(row["n_seeds"], "seed")
    seeds = counted(span(bases.values()), "seed")
    return f"{counted(row['n_seeds'], 'run')}: {counted(len(bases), 'base model')} x {seeds}"


def seeds_text(rows: Sequence[dict[str, Any]]) -> str:
    """The models behind the rows, each kind once and the most first: n = 10 runs: 5 base models x 2 seeds."""
    run = sorted((row for row in rows if row["n_seeds"]), key=lambda row: -row["n_seeds"])
    return f"n = {', or '.join(dict.fromkeys(map(runs_text, run))) or '0 runs'}"


def readings_text(rows: Sequence[dict[str, Any]]) -> str:
    """What the intervals of the rows speak of, as a sentence: these base models, or any; empty where there is none.

    Where rows differ, the reading of most stands first and the rows of the other are named.
    """
    run = [row for row in rows if row["mean"] is not None and row.get("reading")]
    if not run:
        return ""
    first = Counter(row["reading"] for row in run).most_common(1)[0][0]
    most, others = ([row for row in run if (row["reading"] == first) == wanted] for wanted in (True, False))
    sentence = f"Intervals: {_reading_text(most)}"
    if others:
        known = set(map(_who, most))
        names = dict.fromkeys(f"{'some' if _who(row) in known else 'the'} {_who(row)} rows" for row in others)
        sentence += f"; of {' and '.join(names)} {_reading_text(others)}"
    return f"{sentence}."


def _reading_text(rows: Sequence[dict[str, Any]]) -> str:
    """What rows of one reading speak of."""
    if rows[0]["reading"] == "any_base":
        return "for any base model"
    count = span(len(set(row.get("bases") or ())) or 1 for row in rows)
    return "on this base model" if count == "1" else f"on these {count} base models"


def _who(row: dict[str, Any]) -> str:
    """How a row's line is called."""
    if row.get("label"):
        return row["label"]
    return METHOD_NAMES.get(row["method"], row["method"]) if row["arm"] == row["method"] else row["arm"]


def counts_text(rows: Sequence[dict[str, Any]]) -> str:
    """How many models and items are behind the rows, and what their intervals speak of, as sentences."""
    counts = f"{seeds_text(rows)}; {span(row['n_items'] for row in rows)} items."
    return " ".join(filter(None, [counts, readings_text(rows)]))


def comma_separated(rows: Sequence[dict[str, Any]], columns: Sequence[str] | None = None) -> str:
    """The rows as csv; lists are joined by spaces. Without `columns` all keys of all rows, the usual ones first."""
    if columns is None:
        keys = list(dict.fromkeys(key for row in rows for key in row))
        columns = [*(name for name in LEADING if name in keys), *(name for name in keys if name not in LEADING)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = [row.get(name) for name in columns]
        writer.writerow([" ".join(map(str, value)) if isinstance(value, list) else value for value in values])
    return text.getvalue()


def markdown_table(
    header: Sequence[str], body: Sequence[Sequence[str]], words: int = 1, numbers: Collection[int] | None = None
) -> str:
    """A Markdown table whose first `words` columns hold text; the others, or those of `numbers`, align right."""
    numbers = range(words, len(header)) if numbers is None else numbers
    rule = ["---:" if k in numbers else "---" for k in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"

    return "\n".join(map(line, (header, rule, *body)))


def claims_table(claims: Sequence[dict[str, Any]]) -> str:
    """The claims with their verdicts, in Markdown."""
    body = [[claim["statement"], claim["verdict"], claim["reading"]] for claim in claims]
    return markdown_table(["Claim", "Verdict", "Reading"], body, words=3)


def escape(text: Any) -> str:
    """Text for LaTeX."""
    return "".join(SPECIAL.get(letter, letter) for letter in str(text))


def latex_row(cells: Sequence[Any]) -> str:
    """A row of a LaTeX table."""
    return " & ".join(map(escape, cells)) + r" \\"


def latex_table(
    caption: str,
    header: Sequence[str],
    groups: Sequence[Sequence[Sequence[str]]],
    words: int = 1,
    label: str | None = None,
) -> str:
    """A LaTeX table for booktabs, with a rule between groups of rows; the caption is LaTeX already."""
    body = [[latex_row(row) for row in rows] for rows in groups]
    lines = [line for k, rows in enumerate(body) for line in ([r"\midrule"] if k else []) + rows]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{caption}}}",
            *([rf"\label{{{label}}}"] if label else []),
            r"\begin{tabular}{" + "l" * words + "r" * (len(header) - words) + "}",
            r"\toprule",
            latex_row(header),
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def long_table(caption: str, header: Sequence[str], body: Sequence[Sequence[str]], columns: str) -> str:
    """A LaTeX table over several pages."""
    return "\n".join(
        [
            rf"\begin{{longtable}}{{{columns}}}",
            rf"\caption{{{escape(caption)}}}\\",
            r"\toprule",
            latex_row(header),
            r"\midrule\endhead",
            *map(latex_row, body),
            r"\bottomrule",
            r"\end{longtable}",
            "",
        ]
    )


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
        parts.append(section["note"])
    if verdict["claims"]:
        parts += ["## Claims", claims_table(verdict["claims"])]
    return "\n\n".join(filter(None, parts)) + "\n"


def latex(verdict: dict[str, Any]) -> str:
    """table.tex: a table a section; the caption names the scale and says whose numbers they are."""
    parts = []
    for section in filter(lambda section: section["body"], verdict["sections"]):
        title = " ".join(filter(None, [f"{verdict['title']}.", section["title"] and f"{section['title']}."]))
        notice = "" if section.get("paper") else verdict["notice"]
        off = "" if verdict["enabled"] else verdict["reason"]
        caption = " ".join(filter(None, map(escape, [title, notice, off, section["note"]])))
        parts.append(latex_table(caption, section["header"], [section["body"]], section.get("words", 1)))
    return "\n".join(parts)


def texts(verdict: dict[str, Any]) -> dict[str, str]:
    """The table's files by their suffix."""
    return {"csv": comma_separated(verdict["rows"]), "md": markdown(verdict), "tex": latex(verdict)}
