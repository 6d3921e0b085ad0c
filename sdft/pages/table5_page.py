"""Fragments of the HTML report, from verdict.json and its neighbours. They show numbers and compute none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError
from sdft.common.files import read_json
from sdft.evidence.names import METHOD_NAMES, METRIC_NAMES, TASK_NAMES
from sdft.evidence.outcomes import read_results
from sdft.evidence.published import document
from sdft.methods.hyperparameters import in_words
from sdft.pages.tables.table5 import lines, printed_rows, under
from sdft.pages.writers import INTERVALS, value_text
from sdft.study.exhibits.schema import Exhibit

NEEDED = ("table", "scale", "notice", "standing", "summary", "rows", "claims", "cost", "tolerance", "manifest")
MEANING = {
    "MATCH": "the interval holds the printed number and was narrow enough to miss it",
    "WITHIN": "inside the declared margin",
    "DIRECTION": "the claimed sign holds, the interval excludes zero",
    "INCONCLUSIVE": "the interval allows both",
    "NO DIFFERENCE": "the interval excludes any difference of interest, where the paper claims one",
    "MISMATCH": "the measurement says the opposite of the paper",
    "INCOMPARABLE": "not the paper's conditions",
    "NOT RUN": "no score",
    "FROM RELEASE": "recomputed from published outputs",
}


@dataclass(frozen=True)
class Evidence:
    """What a report shows: a table's verdict and plan, and the figure's files."""

    folder: Path
    verdict: dict[str, Any]
    exhibit: Exhibit
    figure: dict[str, Any]
    drawing: str


def load(results: str | Path) -> Evidence:
    """Read what Table 5's report shows from results/{scale}. Raises SdftError naming a missing or broken file."""
    folder = Path(results)
    table = folder / "tables/table5"
    verdict = read_json(table / "verdict.json")
    missing = [name for name in NEEDED if not isinstance(verdict, dict) or name not in verdict]
    if missing or not verdict["rows"]:
        raise SdftError(
            f"{table / 'verdict.json'} is no table's verdict ({', '.join(missing) or 'rows'} missing or empty); delete "
            "it and run the same command again."
        )
    drawing = folder / "figures/figure4.svg"
    if not drawing.exists():
        raise SdftError(f"{drawing} does not exist; ask snakemake for figure4.")
    return Evidence(
        folder=folder,
        verdict=verdict,
        exhibit=read_results(table / "plan.json").exhibit,
        figure=read_json(folder / "figures/figure4.json"),
        drawing=drawing.read_text(encoding="utf-8"),
    )


def badge(verdict: str) -> str:
    """A verdict's word as a labelled box."""
    return f'<span class="verdict {verdict.lower().replace(" ", "-")}">{escape(verdict)}</span>'


def label(text: str) -> str:
    """Text that stays on one line."""
    return escape(text).replace(" ", "&nbsp;")


def table(header: Sequence[str], body: Sequence[Sequence[str]], numbers_from: int = 99) -> str:
    """A table that scrolls sideways on a narrow screen. Cells are HTML; those from `numbers_from` on align right."""

    def row(cells: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=number' if k >= numbers_from else ''}>{cell}</{tag}>" for k, cell in enumerate(cells)
        )

    rows = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in body)
    return f'<div class="scroll"><table><thead><tr>{row(header, "th")}</tr></thead><tbody>{rows}</tbody></table></div>'


def stamp(standing: dict[str, str]) -> str:
    """The stamp on numbers that are no evidence; empty on others."""
    return f'<p class="stamp">{escape(standing["notice"])}</p>' if standing["evidence"] == "none" else ""


def header(evidence: Evidence) -> str:
    """What was measured, the claim, how it came out, and what it cost."""
    verdict = evidence.verdict
    commit = verdict["manifest"].get("commit") or "unknown"
    changed = " with uncommitted changes" if verdict["manifest"].get("dirty") else ""
    counts = ", ".join(f"{badge(name)} {count}" for name, count in verdict["summary"]["claims"].items())
    stamped = stamp(verdict["standing"])
    hours = verdict["cost"]
    parts = [
        stamped,
        f"<h1>Table 5 of the SDFT paper, scale {escape(verdict['scale'])}</h1>",
        f'<p class="claim">The paper\'s claim: {escape(verdict["summary"]["headline"])}</p>',
        f"<p>{escape(verdict['notice'])}</p>",
        f"<p>Claims tested: {counts}</p>",
        "" if stamped else against(verdict),
        "<dl>",
        f"<dt>Commit</dt><dd><code>{escape(commit[:12])}</code>{changed}</dd>",
        f"<dt>Cost</dt><dd>{hours['total']:.2f} device-hours: sweep {hours['sweep']:.2f}, final training "
        f"{hours['training']:.2f}, evaluation {hours['evaluation']:.2f}</dd>",
        f"<dt>To repeat</dt><dd><code>snakemake --cores all table5 --config scale={verdict['scale']}</code></dd>",
        "</dl>",
    ]
    return "".join(parts)


def against(verdict: dict[str, Any]) -> str:
    """The claims that came out against the paper, or a line that says there is none."""
    names = set(verdict["summary"]["against_the_paper"])
    found = [claim for claim in verdict["claims"] if claim["id"] in names]
    if not found:
        return "<p>No claim came out against the paper.</p>"
    listed = "".join(f"<li>{escape(claim['statement'])} {escape(claim['reading'])}</li>" for claim in found)
    return f'<div class="against"><p>Against the paper:</p><ul>{listed}</ul></div>'


def _p(value: float | None) -> str:
    return "" if value is None else "&lt; 0.0001" if value < 1e-4 else f"{value:.2g}"


def claims(evidence: Evidence) -> str:
    """Every claim with its verdict, its numbers and its test."""
    body = []
    for claim in evidence.verdict["claims"]:
        found = claim["evidence"]
        paper = found.get("published") or {}
        value, printed = paper.get("value"), ""
        if value is not None:
            printed = f"{100 * value:z.0f} % of the loss" if "fraction" in found else f"{value:+z.1f} points"
        body.append(
            [
                badge(claim["verdict"]),
                f'<div class="wide">{escape(claim["statement"])}<br><small>{escape(claim["reading"])}</small></div>',
                printed,
                _p(found.get("p") if "p_holm" in found else None),
                _p(found.get("p_holm")),
                str(found.get("n_seeds", "")),
                str(found.get("n_items", "")),
            ]
        )
    words = sorted({claim["verdict"] for claim in evidence.verdict["claims"]})
    legend = "; ".join(f"{badge(word)} {escape(MEANING[word])}" for word in words)
    tests = "".join(
        f"<li><code>{escape(claim['id'])}</code>: {escape(claim['test'])}</li>" for claim in evidence.verdict["claims"]
    )
    return (
        "<h2>Claims</h2>"
        + table(
            ["Verdict", "Claim and reading", "The paper's", "p", "p against it (Holm)", "Seeds", "Items"],
            body,
            numbers_from=2,
        )
        + f"<p><small>{legend}. p: no difference, two-sided, paired by item and seed. p against it: of what "
        "speaks against the claim, corrected by Holm's procedure over the tasks.</small></p>"
        + f"<details><summary>The tests</summary><ul>{tests}</ul></details>"
    )


def ours(evidence: Evidence) -> str:
    """Table 5 as measured at this scale."""
    verdict = evidence.verdict
    paper_scale = verdict["standing"]["evidence"] == "paper"

    def cell(row: dict[str, Any]) -> str:
        title = f"{row['verdict']}: {row['reason']}" if row["reason"] else row["verdict"]
        under = ""
        if paper_scale and row["published"] is not None:
            under = f"<br><small>paper {row['published']:.1f}</small><br>{badge(row['verdict'])}"
        return f'<span title="{escape(title)}">{value_text(row, between="<br>")}</span>{under}'

    body = [
        [label(TASK_NAMES[task]), label(name), *(cell(row) for row in cells)]
        for task, name, cells in lines(verdict["rows"])
    ]
    reasons = sorted({f"{row['verdict']} ({row['reason']})" for row in verdict["rows"] if row["reason"]})
    cells_note = "" if paper_scale else f" Against the paper each cell is {escape('; '.join(reasons))}."
    return (
        f"<h2>Table 5 at scale {escape(verdict['scale'])}</h2>"
        + table(["Task", "Method", *METRIC_NAMES.values()], body, numbers_from=2)
        + f"<p><small>Percent, {INTERVALS}. "
        + f"{escape(under(verdict))}{cells_note}</small></p>"
    )


def papers(evidence: Evidence) -> str:
    """The paper's own Table 5, labelled as such."""
    printed = [[label(cell) for cell in row] for row in printed_rows(evidence.verdict["rows"])]
    slips = "".join(
        f"<li>{escape(TASK_NAMES[slip['row']])}, {escape(slip['method'])}: printed {slip['printed']}, its cells give "
        f"{slip['recomputed']}</li>"
        for slip in document()["items"]["table5"]["slips"]
    )
    return (
        '<div class="papers"><h2>The paper\'s numbers</h2>'
        "<p>Printed in Table 5 of arXiv 2601.19897 for Qwen2.5-7B-Instruct, without intervals. Not results of ours.</p>"
        + table(["Task", "Method", *METRIC_NAMES.values()], printed, numbers_from=2)
        + f"<details><summary>* Averages that do not follow from their cells</summary><ul>{slips}</ul></details></div>"
    )


def inline(drawing: str) -> str:
    """An SVG file as an element of an HTML page: no prolog, no metadata, no namespace addresses."""
    body = drawing[drawing.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    return re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", body)


def figure(evidence: Evidence) -> str:
    """Figure 4, the same drawing that the figure's files hold, with its caption."""
    caption = escape(evidence.figure["caption"])
    width = 15 * len(evidence.figure["panels"])
    return (
        '<h2>Figure 4</h2><div class="scroll">'
        f'<div class="figure" role="img" aria-label="{caption}" style="min-width: {width}rem">'
        f"{inline(evidence.drawing)}</div></div><p><small>{caption}</small></p>"
    )


def sweeps(evidence: Evidence) -> str:
    """The selected hyper-parameters of each arm, each with its whole ranking."""
    rows, rankings, rule = [], [], ""
    for cell in evidence.exhibit.cells:
        path = Path(cell.selected or "")
        name = METHOD_NAMES[cell.method] if cell.arm == cell.method else cell.arm
        where = [label(TASK_NAMES[cell.task]), label(name)]
        if not path.is_file():
            rows.append([*where, badge("NOT RUN"), "", ""])
            continue
        selected = read_json(path)
        rule, best = selected["rule"], selected["ranking"][0]
        rows.append(
            [
                *where,
                escape(in_words(selected["winner"])),
                f"{100 * best['validation']:.1f}",
                str(len(selected["ranking"])),
            ]
        )
        ranking = [
            [
                escape(in_words(row["hyperparameters"])),
                f"{100 * row['validation']:.1f}",
                "" if row.get("prior_average") is None else f"{100 * row['prior_average']:.1f}",
            ]
            for row in selected["ranking"]
        ]
        rankings.append(
            f"<details><summary>{where[0]}, {where[1]}: all {len(ranking)} candidates</summary>"
            + table(["Candidate, best first", "Validation (%)", "Prior average (%)"], ranking, numbers_from=1)
            + "</details>"
        )
    return (
        "<h2>Selected hyper-parameters</h2>"
        + f"<p>{escape(rule)}</p>"
        + table(["Task", "Method", "Selected", "Validation (%)", "Candidates"], rows, numbers_from=3)
        + "".join(rankings)
    )


def not_run(evidence: Evidence) -> str:
    """What this scale does not show: cells without scores, candidates without results, other items of the paper."""
    body = []
    for task, name, cells in lines(evidence.verdict["rows"]):
        absent = sorted({run for row in cells for run in row["not_run"]})
        if absent:
            empty = [METRIC_NAMES[row["metric"]] for row in cells if row["verdict"] == "NOT RUN"]
            what = f"{', '.join(empty) or 'some seeds'}: {', '.join(absent)}"
            body.append([f"Table 5, {escape(TASK_NAMES[task])}, {escape(name)}", badge("NOT RUN"), escape(what)])
    for entry in evidence.figure.get("not_drawn", ()):
        what = f"{entry['why']}: {entry.get('path') or entry.get('run') or 'final runs'}"
        where = f"Figure 4, {TASK_NAMES[entry['task']]}, {entry['arm']}"
        body.append([escape(where), badge("NOT RUN"), escape(what)])
    for item, entry in document()["items"].items():
        kind = "tables" if item.startswith("table") else "figures"
        made = (evidence.folder / kind / item / "verdict.json", evidence.folder / kind / f"{item}.json")
        if not any(path.exists() for path in made):
            body.append([escape(entry["place"]), badge("NOT RUN"), escape(entry["subject"])])
    return "<h2>What was not run</h2>" + table(["Item", "", "What"], body)


def provenance(evidence: Evidence) -> str:
    """Where the numbers come from: code, tolerance, software, the runs behind each line, our deviations."""
    verdict = evidence.verdict
    manifest = verdict["manifest"]
    runs = [
        [escape(TASK_NAMES[task]), escape(name), "<br>".join(f"<code>{escape(run)}</code>" for run in cells[0]["runs"])]
        for task, name, cells in lines(verdict["rows"])
    ]
    tolerance = ", ".join(f"{name} {value:g}" for name, value in verdict["tolerance"].items())
    versions = ", ".join(f"{name} {version}" for name, version in (manifest.get("versions") or {}).items())
    commits = ", ".join((manifest.get("inputs") or {}).get("commits", ())) or "unknown"
    return (
        "<h2>Provenance</h2><dl>"
        f"<dt>Commit of this table</dt><dd><code>{escape(str(manifest.get('commit')))}</code></dd>"
        f"<dt>Commits of the scores behind it</dt><dd><code>{escape(commits)}</code></dd>"
        f"<dt>Code digest</dt><dd><code>{escape(str(manifest.get('code')))}</code></dd>"
        f"<dt>Tolerance, declared before running</dt><dd>{escape(tolerance)}</dd>"
        f"<dt>Software</dt><dd>{escape(versions)}</dd>"
        # A path and no link: the page is read from wherever it was copied to.
        "<dt>Deviations from the paper</dt><dd><code>docs/deviations.md</code> in the repository</dd>"
        f"</dl><details><summary>Runs behind each line</summary>{table(['Task', 'Method', 'Runs'], runs)}</details>"
    )
