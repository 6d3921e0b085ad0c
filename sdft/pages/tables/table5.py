"""Table 5: skill learning and what is left of the prior capabilities, with the paper's claims about them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sdft.common.provenance import Clock, manifest
from sdft.evidence.exhibits.table5 import HEADLINE, table_claims, table_rows
from sdft.evidence.names import METHOD_NAMES, METRIC_NAMES, METRICS, TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.evidence.published import Published, document, lookup
from sdft.evidence.quantities import agreement
from sdft.evidence.rules import LEVEL
from sdft.evidence.verdicts import commits, cost, counts, notice
from sdft.evidence.versions import version_rows
from sdft.pages.writers import (
    INTERVALS,
    claims_table,
    comma_separated,
    escape,
    latex_table,
    long_table,
    markdown_table,
    readings_text,
    seeds_text,
    value_text,
)

COLUMNS = (
    *("task", "method", "arm", "metric", "published", "mean", "low", "high", "n_seeds", "n_items", "sd_seeds"),
    *("verdict", "reason", "by_seed", "runs", "not_run", "published_note", "notes"),
)
HEADER = ["Task", "Method", *METRIC_NAMES.values()]
HEADLINES = ("new_task", "prior_average")


def table5(results: Results, clock: Clock) -> dict[str, Any]:
    """verdict.json of Table 5."""
    tolerance = results.exhibit.tolerance
    rows = table_rows(results, tolerance)
    claims = table_claims(results, rows, tolerance)
    return {
        "table": results.exhibit.name,
        "scale": results.scale,
        "notice": notice(results),
        "standing": results.exhibit.standing,
        "unit": "percent",
        "level": LEVEL,
        "summary": {"headline": HEADLINE, **counts(claims)},
        "agreement": agreement([*results.cells, *(results.base_cell(task) for task in results.tasks)]),
        "rows": rows,
        "versions": version_rows(results),
        "claims": claims,
        "tolerance": tolerance.model_dump(),
        "cost": cost(results),
        "manifest": manifest(
            "tables",
            clock=clock,
            config=results.exhibit.tolerance.model_dump(),
            seeds=sorted({run.seed for cell in results.cells for run in cell.runs}),
            inputs={"commits": commits(results)},
        ),
    }


def texts(verdict: dict[str, Any]) -> dict[str, str]:
    """The table's files by their suffix."""
    return {"csv": comma_separated(verdict["rows"], COLUMNS), "md": markdown(verdict), "tex": latex(verdict)}


def lines(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Rows grouped as the table's lines: task, name of the arm, and a row a metric in METRICS' order."""
    grouped: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault((row["task"], row["method"], row["arm"]), []).append(row)
    return [
        (task, METHOD_NAMES[method] if arm == method else arm, cells) for (task, method, arm), cells in grouped.items()
    ]


def items_text(rows: Sequence[dict[str, Any]]) -> str:
    """How many models, and items of each test set, are behind the rows, as a sentence."""
    sizes = {
        metric: sorted({row["n_items"] for row in rows if row["metric"] == metric and row["n_items"]})
        for metric in METRICS
    }
    items = ", ".join(f"{METRIC_NAMES[name]} {'/'.join(map(str, n))}" for name, n in sizes.items() if n)
    return f"{seeds_text(rows)}; items: {items or 'none'}."


def under(verdict: dict[str, Any]) -> str:
    """The lines under the table: what the intervals speak of, n, and how far two judges agree where there were two."""
    said = [readings_text(verdict["rows"]), items_text(verdict["rows"]), verdict.get("agreement")]
    return " ".join(filter(None, said))


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
    rows = verdict["rows"]
    body = [[TASK_NAMES[task], name, *map(value_text, cells)] for task, name, cells in lines(rows)]
    if verdict["standing"]["evidence"] == "paper":
        for line, (_, _, cells) in zip(body, lines(rows), strict=True):
            for k, row in enumerate(cells):
                printed = "" if row["published"] is None else f" (paper {row['published']:.1f})"
                line[2 + k] += f"{printed} {row['verdict']}" if row["mean"] is not None else printed
    parts = [
        f"# Table 5, scale {verdict['scale']}",
        f"{verdict['notice']} Percent, {INTERVALS}.",
        markdown_table(HEADER, body, words=2),
        under(verdict),
        *version_lines(verdict["versions"]),
    ]
    if printed := printed_rows(rows):
        parts += [
            "## The paper's numbers",
            "Printed in Table 5 of the paper for Qwen2.5-7B-Instruct, without intervals; targets, not results of ours. "
            "A star marks an average that does not follow from its cells.",
            markdown_table(HEADER, printed, words=2),
        ]
    return "\n\n".join([*parts, "## Claims", claims_table(verdict["claims"])]) + "\n"


def latex(verdict: dict[str, Any]) -> str:
    """table.tex, for booktabs and longtable, each table within the 345 pt of a page of the class article: the paper's
    headline columns beside ours, the means of all benchmarks, and the claims."""
    found, name = lines(verdict["rows"]), f"tab:table5-{verdict['scale']}"
    about = f"Scale {escape(verdict['scale'])}. {escape(verdict['notice'])} Percent"
    short = [
        (task, [TASK_NAMES[task], method, *_beside([row for row in cells if row["metric"] in HEADLINES])])
        for task, method, cells in found
    ]
    intervals = INTERVALS.replace(" %", r"\,\%")
    header = ["Task", "Method", *(text for metric in HEADLINES for text in ("Paper", METRIC_NAMES[metric]))]
    headline = latex_table(
        f"{about}, {intervals}. {escape(under(verdict))}", header, _grouped(short), words=2, label=name
    )
    methods = list(dict.fromkeys(method for _, method, _ in found))
    mean = {
        (task, method, row["metric"]): "NOT RUN" if row["mean"] is None else f"{row['mean']:.1f}"
        for task, method, cells in found
        for row in cells
    }
    whole = [
        (task, [TASK_NAMES[task], METRIC_NAMES[metric], *(mean.get((task, method, metric), "") for method in methods)])
        for task in dict.fromkeys(task for task, _, _ in found)
        for metric in METRICS
    ]
    means = latex_table(
        f"{about}, means.", ["Task", "Metric", *methods], _grouped(whole), words=2, label=f"{name}-benchmarks"
    )
    claims = [[claim["statement"], claim["verdict"]] for claim in verdict["claims"]]
    table = long_table(f"Claims about Table 5. {verdict['notice']}", ["Claim", "Verdict"], claims, "p{8cm}l")
    return "\n".join([headline, means, table])


def _beside(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The paper's numbers, each followed by ours."""
    pairs = ((row["published"], value_text(row)) for row in rows)
    return [text for printed, ours in pairs for text in ("" if printed is None else f"{printed:.1f}", ours)]


def _grouped(shown: Sequence[tuple[str, list[str]]]) -> list[list[list[str]]]:
    """Rows, each with its task, as a group a task."""
    return [[row for _, row in rows] for _, rows in groupby(shown, key=lambda line: line[0])]
