"""Table 5 as csv, Markdown and LaTeX, from the rows of its verdict.json."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from sdft.evidence.names import METHOD_NAMES, METRIC_NAMES, METRICS, TASK_NAMES
from sdft.evidence.published import Published, document, lookup

COLUMNS = (
    *("task", "method", "arm", "metric", "published", "mean", "low", "high", "n_seeds", "n_items", "sd_seeds"),
    *("verdict", "reason", "by_seed", "runs", "not_run", "published_note", "notes"),
)
# What `value_text` shows, for the line under a table.
INTERVALS = "mean [low, high] with the 95 % interval over seeds and test items"


def comma_separated(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(
            [" ".join(map(str, row[name])) if isinstance(row[name], list) else row[name] for name in COLUMNS]
        )
    return text.getvalue()


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


def lines(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Rows grouped as the table's lines: task, name of the arm, and a row a metric in METRICS' order."""
    grouped: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault((row["task"], row["method"], row["arm"]), []).append(row)
    return [
        (task, METHOD_NAMES[method] if arm == method else arm, cells) for (task, method, arm), cells in grouped.items()
    ]


def _markdown_table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * 2 + ["---:"] * (len(header) - 2)
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *body))


def items_text(rows: Sequence[dict[str, Any]]) -> str:
    """How many seeds and items are behind the rows, as a sentence."""
    seeds = sorted({row["n_seeds"] for row in rows if row["n_seeds"]})
    span = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}" if seeds else "0"
    sizes = {
        metric: sorted({row["n_items"] for row in rows if row["metric"] == metric and row["n_items"]})
        for metric in METRICS
    }
    items = ", ".join(f"{METRIC_NAMES[name]} {'/'.join(map(str, n))}" for name, n in sizes.items() if n)
    return f"n = {span} seed{'' if span == '1' else 's'}; items: {items or 'none'}."


def under(verdict: dict[str, Any]) -> str:
    """The line under the table: n, and how far two judges agree where there were two."""
    return " ".join(filter(None, [items_text(verdict["rows"]), verdict.get("agreement")]))


def printed_rows(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The paper's own lines for the tasks of `rows`; a star marks a number that does not follow from its cells."""

    def text(entry: Published | None) -> str:
        return f"{entry.value:.1f}{'*' if entry.note else ''}" if entry else ""

    return [
        [
            TASK_NAMES[task],
            METHOD_NAMES[method],
            *(text(lookup("table5", task, method, metric)) for metric in METRICS),
        ]
        for task in dict.fromkeys(row["task"] for row in rows)
        for method in document()["items"]["table5"]["rows"].get(task, {})
    ]


def version_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A paragraph for each shorter version of a test set."""
    return [
        f"{TASK_NAMES[task]} on the first {count} items, the test set of another release: "
        + "; ".join(
            f"{METHOD_NAMES[row['method']] if row['arm'] == row['method'] else row['arm']} {value_text(row)}"
            for row in rows
            if (row["task"], row["rows"]) == (task, count)
        )
        + "."
        for task, count in dict.fromkeys((row["task"], row["rows"]) for row in rows)
    ]


def markdown(verdict: dict[str, Any]) -> str:
    """table.md: our table, the paper's beside it, and the claims."""
    rows, scale = verdict["rows"], verdict["scale"]
    header = ["Task", "Method", *METRIC_NAMES.values()]
    body = [[TASK_NAMES[task], name, *map(value_text, cells)] for task, name, cells in lines(rows)]
    if verdict["standing"]["evidence"] == "paper":
        for line, (_, _, cells) in zip(body, lines(rows), strict=True):
            for k, row in enumerate(cells):
                printed = "" if row["published"] is None else f" (paper {row['published']:.1f})"
                line[2 + k] += f"{printed} {row['verdict']}" if row["mean"] is not None else printed
    parts = [
        f"# Table 5, scale {scale}",
        f"{verdict['notice']} Percent, {INTERVALS}.",
        _markdown_table(header, body),
        under(verdict),
        *version_lines(verdict["versions"]),
    ]
    printed = printed_rows(rows)
    if printed:
        parts += [
            "## The paper's numbers",
            "Printed in Table 5 of the paper for Qwen2.5-7B-Instruct, without intervals; targets, not results of ours. "
            "A star marks an average that does not follow from its cells.",
            _markdown_table(header, printed),
        ]
    parts.append("## Claims")
    parts.append(
        _markdown_table(
            ["Claim", "Verdict", "Reading"],
            [[result["statement"], result["verdict"], result["reading"]] for result in verdict["claims"]],
        ).replace("---:", "---")
    )
    return "\n\n".join(parts) + "\n"


def latex(verdict: dict[str, Any]) -> str:
    """table.tex: our table for booktabs, with the scale in the caption."""
    names = [*METRIC_NAMES.values()]
    body, previous = [], None
    for task, name, cells in lines(verdict["rows"]):
        if previous not in (None, task):
            body.append(r"\midrule")
        words = [TASK_NAMES[task].replace("&", r"\&"), name.replace("_", r"\_")]
        body.append(" & ".join([*words, *map(value_text, cells)]) + r" \\")
        previous = task
    intervals = INTERVALS.replace(" %", r"\,\%")
    special = {"&": r"\&", "_": r"\_", "%": r"\%", "#": r"\#"}
    below = "".join(special.get(letter, letter) for letter in under(verdict))
    caption = f"{verdict['notice']} Percent, {intervals}. "
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{caption}{below}}}",
            r"\begin{tabular}{ll" + "r" * len(names) + "}",
            r"\toprule",
            " & ".join(["Task", "Method", *names]) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )
