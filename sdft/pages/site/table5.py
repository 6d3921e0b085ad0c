"""Table 5 with everything about a cell in one row."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from sdft.evidence.kept import KEPT_POINTS, kept_benchmarks
from sdft.evidence.names import METHOD_NAMES, METRIC_NAMES
from sdft.evidence.published import document
from sdft.pages.html import Row, badge, code, command, facts, folded, legend, link, listed, table
from sdft.pages.site.claims import claims_table
from sdft.pages.site.found import Page, Study, arm_name, task_name, title
from sdft.pages.tables.table5 import under, version_lines
from sdft.pages.writers import runs_text

HEADER = (
    *("Metric", "Paper", "Ours", "Difference", "95 % interval", "SD of runs", "Number of runs", "Items", "Verdict"),
    "Runs, each with its value",
)
HEADLINES = ("new_task", "prior_average")


def anchor(row: dict[str, Any]) -> str:
    """The id of a cell's row."""
    return f"{row['task']}-{row['arm']}-{row['metric']}"


def number(value: float | None, form: str = "z.1f") -> str:
    """A number as text; empty where there is none."""
    return "" if value is None else format(value, form)


def interval(row: dict[str, Any]) -> str:
    """The ends of a row's interval."""
    if row["mean"] is None:
        return ""
    return " to ".join("unbounded" if row[end] is None else number(row[end]) for end in ("low", "high"))


def table5_page(study: Study) -> Page:
    """A row a cell: paper's value, ours, difference, interval, spread, verdict and the runs; then the claims."""
    verdict = study.records["table5"]
    rows = verdict["rows"]
    model = f", {document()['items']['table5']['model']}" if verdict["standing"]["evidence"] == "paper" else ""
    parts = [
        f"<h1>{escape(title('table5') + model)}, scale {escape(study.spec.scale)}</h1>",
        f"<p>{escape(verdict['notice'])} Percent. Intervals cover seeds and test items. "
        f"{escape(under(verdict))} The SD of runs is over base models and seeds.</p>",
        "<p>To repeat:</p>" + command(study.to_repeat("table5")),
    ]
    for task in dict.fromkeys(row["task"] for row in rows):
        parts.append(f'<h2 id="{escape(task)}">{escape(task_name(task))}</h2>')
        for arm in dict.fromkeys(row["arm"] for row in rows if row["task"] == task):
            own = [row for row in rows if (row["task"], row["arm"]) == (task, arm)]
            caption = f"{escape(task_name(task))}: {escape(arm_name(own[0]))}"
            ordered = sorted(own, key=lambda row: row["metric"] not in HEADLINES)
            parts.append(table(caption, HEADER, [_row(study, row) for row in ordered], numbers=range(1, 8)))
            if kept := kept_benchmarks(rows, task, arm):
                within = f"within {KEPT_POINTS:g} point of the base model's or above it"
                parts.append(f"<p>Prior benchmarks whose mean is {within}: {kept[0]} of {kept[1]}.</p>")
            parts.append(_selection(study, task, arm))
    parts += [f"<p>{escape(text)}</p>" for text in version_lines(verdict.get("versions", ()))]
    slips = listed(
        f"{escape(task_name(slip['row']))}, {escape(METHOD_NAMES[slip['method']])}: printed {slip['printed']}, "
        f"its cells give {slip['recomputed']}"
        for slip in document()["items"]["table5"]["slips"]
    )
    claims = [claim for claim in study.claims if claim.item == "table5"]
    words = {row["verdict"] for row in rows}
    reasons = sorted({f"{row['verdict']}: {row['reason']}" for row in rows if row["reason"]})
    parts += [
        "<h2>What the verdicts of cells say</h2>",
        legend(words),
        folded("Reasons of the cells' verdicts", listed(map(escape, reasons))) if reasons else "",
        f"<p>Starred numbers of the paper do not follow from their own cells:</p>{slips}",
        "<h2>Claims</h2>",
        claims_table(study, claims, "Claims about Table 5"),
        _provenance(verdict),
    ]
    return Page("table5", f"Table 5, scale {study.spec.scale}", "".join(parts))


def _row(study: Study, row: dict[str, Any]) -> Row:
    printed = "" if row["published"] is None else number(row["published"]) + ("*" if row["published_note"] else "")
    both = row["published"] is not None and row["mean"] is not None
    runs = [
        f"{_origin(study, run, name)}{'' if value is None else f' {number(value)}'}" for run, name, value in _seeds(row)
    ]
    cells = [
        escape(METRIC_NAMES[row["metric"]]),
        printed,
        "" if row["mean"] is None else number(row["mean"]),
        number(row["mean"] - row["published"], "+z.1f") if both else "",
        interval(row),
        number(row.get("sd_seeds")),
        runs_text(row) if row["n_seeds"] else "",
        str(row["n_items"] or ""),
        f'<span title="{escape(row["reason"])}">{badge(row["verdict"])}</span>',
        ", ".join(runs),
    ]
    return Row(cells, anchor(row), row["metric"] in HEADLINES)


def _origin(study: Study, run: str, name: str) -> str:
    """The link to what a value was measured of: a run, or a base model."""
    if run in study.runs:
        return link(study.to(f"run-{run}"), name)
    return link(study.to(f"base-{run}"), name) if run in study.bases else escape(name)


def _seeds(row: dict[str, Any]) -> list[tuple[str, str, float | None]]:
    """Run, how its link is called, and its value; runs that have none come last."""
    values = list(row.get("by_seed") or ())
    named = list(zip(row["runs"], row.get("seeds") or [], values, strict=False))
    found = [(run, f"seed {seed}" if row["method"] != "base" else run, value) for run, seed, value in named]
    return found + [(run, f"{run} (NOT RUN)", None) for run in row.get("not_run", ())]


def _selection(study: Study, task: str, arm: str) -> str:
    cell = next((cell for cell in study.plans["table5"].cells if (cell.task, cell.arm) == (task, arm)), None)
    if cell is None or not cell.selected or study.file(cell.selected) is None:
        return ""
    return f"<p>{link(study.to(f'sweep-{task}-{arm}'), 'How its hyper-parameters were selected')}</p>"


def _provenance(verdict: dict[str, Any]) -> str:
    made = verdict["manifest"]
    commits: Sequence[str] = (made.get("inputs") or {}).get("commits", ())
    tolerance = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in verdict["tolerance"].items())
    versions = ", ".join(f"{name} {version}" for name, version in (made.get("versions") or {}).items())
    return "<h2>Provenance</h2>" + facts(
        [
            ("Commit of this table", code(made.get("commit"))),
            ("Commits of the scores behind it", code(", ".join(commits) or "unknown")),
            ("Digest of its code", code(made.get("code"))),
            ("Tolerance, declared before running", f"{escape(tolerance)} (percentage points; standard errors)"),
            ("Software", escape(versions)),
            ("Deviations from the paper", f"{code('docs/deviations.md')} in the repository"),
        ]
    )
