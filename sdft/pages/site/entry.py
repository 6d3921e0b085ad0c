"""The entry page: the answer, the verdicts, the base row, cost, what was not run, and the way to everything else."""

from __future__ import annotations

from html import escape
from typing import Any

from sdft.evidence.names import METRIC_NAMES
from sdft.evidence.rules import AGAINST
from sdft.pages.claims import Claim, against, counts_of
from sdft.pages.html import HOLDS, badge, code, command, facts, legend, listed, table
from sdft.pages.site.claims import claims_table
from sdft.pages.site.exhibits import figure
from sdft.pages.site.found import Page, Study, arm_name, subject, task_name, title
from sdft.pages.site.runs import machine
from sdft.pages.site.table5 import anchor, interval, number
from sdft.study.exhibits import find

# The two claims that the paper's headline makes, and how the answer names them.
HEADLINE = {
    "sdft-learns": "SDFT learns the new task at least as well as SFT",
    "sdft-forgets-less": "SDFT forgets less than SFT",
}
SHORT = ("new_task", "prior_average")


def entry_page(study: Study) -> Page:
    """What a reviewer reads first. Links lead into the folder beside the page."""
    name = f"Self-Distillation Enables Continual Learning, repeated: scale {study.spec.scale}"
    parts = [
        "" if study.evidence else f'<p class="stamp">{escape(study.spec.notice)}</p>',
        f"<h1>{escape(name)}</h1>",
        f'<p class="answer">{escape(answer(study))}</p>',
        f"<p>{escape(study.spec.notice)}</p>" if study.evidence else "",
        _verdicts(study),
        _against(study),
        _facts(study),
        _short(study),
        _figure(study),
        "<h2>Claims</h2>" + claims_table(study, study.claims, "Every claim that was tested", prefix=_folder(study)),
        _contents(study),
        not_run(study),
    ]
    return Page("", name, "".join(parts))


def _folder(study: Study) -> str:
    return f"{study.spec.entry}/"


def answer(study: Study) -> str:
    """The result in a few sentences, from the claims' verdicts alone."""
    tested = [claim for claim in study.claims if not claim.ours]
    run = [claim for claim in tested if claim.verdict != "NOT RUN"]
    if not run:
        return "Nothing has been run yet, so no claim of the paper has been tested."
    if not study.evidence:
        return "These numbers show that the workflow runs. They are no evidence for or against any claim."
    said = [_over_tasks(claim, HEADLINE[claim.id]) for claim in tested if claim.id in HEADLINE and claim.tests]
    holds = sum(claim.verdict in HOLDS for claim in tested)
    opposite = len(against(tested))
    undecided = sum(claim.verdict == "INCONCLUSIVE" for claim in tested)
    rest = len(tested) - holds - opposite - undecided
    said.append(
        f"Of {len(tested)} statements of the paper, {holds} hold here, {opposite} came out against it, "
        f"{undecided} are undecided and {rest} could not be tested or were not run."
    )
    return " ".join(said)


def _over_tasks(claim: Claim, words: str) -> str:
    """One headline claim over its tests, with the seeds behind it."""
    counted = {test["name"]: test["verdict"] for test in claim.tests}
    holds = [name for name, verdict in counted.items() if verdict in HOLDS]
    opposite = [name for name, verdict in counted.items() if verdict in AGAINST]
    seeds = max((test.get("n_seeds", 0) for test in claim.tests), default=0)
    parts = [f"{words} on {len(holds)} of {len(counted)} tasks" + (f" ({', '.join(holds)})" if holds else "")]
    if opposite:
        parts.append(f"not so on {', '.join(opposite)}")
    if left := len(counted) - len(holds) - len(opposite):
        parts.append(f"{left} {'is' if left == 1 else 'are'} open")
    return f"{'; '.join(parts)} ({seeds} seed{'' if seeds == 1 else 's'})."


def _verdicts(study: Study) -> str:
    counts = counts_of(study.claims)
    shown = ", ".join(f"{badge(word)} {count}" for word, count in counts.items())
    ours = sum(claim.ours for claim in study.claims)
    said = f"{len(study.claims)} claims" + (f", {ours} of them our own questions" if ours else "")
    return f"<h2>Verdicts</h2><p>{said}: {shown or 'none'}.</p>{legend(counts)}"


def _against(study: Study) -> str:
    """What came out against the paper; a sentence that there is none only where something was tested."""
    found = against(study.claims)
    tested = [claim for claim in study.claims if claim.verdict not in ("NOT RUN", "INCOMPARABLE", "NOT TESTABLE")]
    if not study.evidence or not tested:
        return ""
    if not found:
        return "<p>No claim that was tested came out against the paper.</p>"
    shown = listed(
        f'<a href="{_folder(study)}{escape(study.to(f"claim-{claim.id}"))}">{escape(claim.statement)}</a> '
        f"{escape(claim.reading)}"
        for claim in found
    )
    return f'<div class="against"><p>These came out against the paper:</p>{shown}</div>'


def _facts(study: Study) -> str:
    record: dict[str, Any] = next((study.records[name] for name in study.records), {})
    made = record.get("manifest") or {}
    spent = (study.records.get("table5") or {}).get("cost") or {}
    left = _left(study)
    models = [found for _, run in study.runs.values() if run.model and (found := study.file(run.model))]
    cost = (
        f"{spent['total']:.2f} device-hours for Table 5: sweep {spent['sweep']:.2f}, final training "
        f"{spent['training']:.2f}, evaluation {spent['evaluation']:.2f}"
        if spent
        else "not recorded"
    )
    level = (
        "Every model behind our numbers was trained here, after a sweep of its own"
        if study.evidence
        else "Every step was run once with settings too small to learn anything"
    )
    return "<h2>How it was made</h2>" + facts(
        [
            ("Command", command(study.spec.command)),
            ("Level", escape(level)),
            ("Seeds", escape(", ".join(map(str, made.get("seeds") or [])) or "none")),
            ("Cost", escape(cost)),
            (
                "Cost of what was not run",
                f"at most {sum(left.values()):.2f} device-hours, each study counted once" if left else "not known",
            ),
            ("Hardware", escape(machine((models[0] if models else {}).get("manifest") or {}))),
            ("Tables", _tables_made(made)),
            ("Runs", _runs_made(study, models)),
        ]
    )


def _left(study: Study) -> dict[str, float]:
    """Device-hours of each study of which something was not run; several tables and figures may show one study."""
    hours = {entry.name: entry.hours for entry in study.spec.unshown if entry.hours}
    hours |= {name: cost for name, cost in study.spec.hours.items() if name not in study.records or _gaps(study, name)}
    return {find(name).study or name: cost for name, cost in hours.items()}


def _tables_made(made: dict[str, Any]) -> str:
    """Of which commit the tables are, and when they were made."""
    changed = " with uncommitted changes" if made.get("dirty") else ""
    return (
        f"commit {code((made.get('commit') or 'unknown')[:12])}{changed}, {escape(made.get('finished') or 'no date')}"
    )


def _runs_made(study: Study, models: list[dict[str, Any]]) -> str:
    """Of which commits the runs behind the tables are, and from when to when they were trained."""
    inputs = [(record.get("manifest") or {}).get("inputs") or {} for record in study.records.values()]
    commits = sorted({commit for entry in inputs for commit in entry.get("commits", ())})
    dates = sorted(date for model in models if (date := (model.get("manifest") or {}).get("finished")))
    shown = ", ".join(code(commit[:12]) for commit in commits) or "unknown"
    when = f", trained from {escape(dates[0])} to {escape(dates[-1])}" if dates else ""
    return f"commit{'s' * (len(commits) > 1)} {shown}{when}"


def _short(study: Study) -> str:
    """Base models first, then Table 5's two headline columns, the paper's beside ours; each leads to its row."""
    rows = (study.records.get("table5") or {}).get("rows", ())
    if not rows:
        return f"<h2>Table 5</h2><p>{badge('NOT RUN')}</p>"
    body = []
    for task in dict.fromkeys(row["task"] for row in rows):
        for arm in dict.fromkeys(row["arm"] for row in rows if row["task"] == task):
            own = {row["metric"]: row for row in rows if (row["task"], row["arm"]) == (task, arm)}
            cells = [f"{escape(task_name(task))}: {escape(arm_name(own['new_task']))}"]
            for metric in SHORT:
                cells += _pair(study, own[metric])
            body.append(cells)
    header = ["Task and method"]
    for metric in SHORT:
        header += [f"{METRIC_NAMES[metric]}, paper", f"{METRIC_NAMES[metric]}, ours", "95 % interval"]
    shown = table("Table 5 in short, percent", header, body, numbers=range(1, 7))
    whole = f'<a href="{_folder(study)}{study.to("table5")}">Table 5 with all benchmarks, differences and runs</a>'
    return f"<h2>Table 5 in short</h2>{shown}<p>{whole}</p>"


def _pair(study: Study, row: dict[str, Any]) -> list[str]:
    target = f"{_folder(study)}{study.to('table5')}#{anchor(row)}"
    ours = badge("NOT RUN") if row["mean"] is None else f"{number(row['mean'])}"
    return [number(row["published"]), f'<a href="{escape(target)}">{ours}</a>', interval(row)]


def _figure(study: Study) -> str:
    drawn = figure(study, "figure4")
    return f"<h2>{escape(title('figure4'))}</h2>{drawn}" if drawn else ""


def _contents(study: Study) -> str:
    pages = [(name, title(name)) for name in study.records] + [("replications", "Public replications beside ours")]
    shown = listed(f'<a href="{_folder(study)}{study.to(name)}">{escape(text)}</a>' for name, text in pages)
    runs = listed(
        f'<a href="{_folder(study)}{study.to(f"run-{name}")}">'
        f"{escape(arm_name(cell))} on {escape(task_name(cell.task))}, seed {run.seed}</a>"
        for name, (cell, run) in study.runs.items()
    )
    return f"<h2>Every page</h2>{shown}<details><summary>Runs: {len(study.runs)} pages</summary>{runs}</details>"


def not_run(study: Study) -> str:
    """What is missing, each with why, the command that makes it, and about what it costs."""
    body = [
        [
            escape(f"{entry.title}: {subject(entry.name)}" if subject(entry.name) else entry.title),
            escape(entry.reason),
            "" if entry.hours is None else f"about {entry.hours:.3g} device-hours",
            code(entry.command),
        ]
        for entry in study.spec.unshown
    ]
    known = {entry.name for entry in study.spec.unshown}
    for name in study.spec.shown:
        if name in known:
            continue
        missing = [[title(name), "its files were not made yet"]] if name not in study.records else _gaps(study, name)
        hours = study.spec.hours.get(name)
        cost = "" if hours is None else f"at most {hours:.3g} device-hours"
        body += [[escape(what), escape(why), cost, code(study.to_repeat(name))] for what, why in missing]
    if not body:
        return "<h2>What was not run</h2><p>Everything that this page's command makes was run.</p>"
    return "<h2>What was not run</h2>" + table("What was not run", ["What", "Why", "Cost", "Command"], body)


def _gaps(study: Study, name: str) -> list[list[str]]:
    """What of a table or figure has no numbers, and why: a line for all that have one reason."""
    record = study.records[name]
    found: dict[str, list[str]] = {}
    for row in record.get("rows", ()):
        if row.get("verdict") == "NOT RUN" or row.get("not_run"):
            where = [task_name(row["task"])] if row.get("task") else []
            where += [arm_name(row)] if row.get("arm") else []
            absent = len(row.get("not_run", ()))
            some = (
                f"{absent} run{'s' * (absent > 1)} without a score" if absent else row.get("reason") or "no score yet"
            )
            found.setdefault(some, []).append(", ".join(where))
    for entry in record.get("not_drawn", ()):
        why = str(entry.get("why", "NOT RUN"))
        where = ", ".join(str(entry[key]) for key in ("task", "arm", "what") if entry.get(key))
        found.setdefault("no result yet" if why == "NOT RUN" else why, []).append(where)
    short = title(name).split(":")[0]
    return [[f"{short}: {'; '.join(dict.fromkeys(filter(None, where))) or 'all'}", why] for why, where in found.items()]
