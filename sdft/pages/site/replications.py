"""Every public attempt beside the paper's numbers and ours, by the same keys."""

from __future__ import annotations

from html import escape

from sdft.evidence.exhibits.figure8 import TEACHERS
from sdft.evidence.names import METHOD_NAMES, METRIC_NAMES
from sdft.evidence.published import lookup
from sdft.evidence.replications import Source, Value, replications, statements
from sdft.pages.html import badge, facts, link, listed, table
from sdft.pages.site.found import Page, Study, task_name
from sdft.pages.writers import value_text

# Arms of Figure 8, which others have run too.
ARM_TITLES = {arm: f"{METHOD_NAMES['sdft']}, teacher: {label}" for arm, label, _ in TEACHERS}
HEADER = ("Who", "Test", "Paper", "Reported", "Items", "Ours at this scale", "Remark")


def replications_page(study: Study) -> Page:
    """A table a task, then each attempt's set-up, then what they say of our claims."""
    found = replications()
    parts = [
        "<h1>Public replications</h1>",
        f"<p>Numbers that others have published, in percent, beside the paper's and ours. {escape(study.spec.notice)} "
        "Where a measure is another one than the paper's, the second list says in what.</p>",
    ]
    for task in dict.fromkeys(value.task for source in found.sources for value in source.values):
        rows = [(source, value) for source in found.sources for value in source.values if value.task == task]
        body = [_row(study, source, value) for source, value in sorted(rows, key=lambda row: _key(row[1]))]
        parts.append(f"<h2>{escape(task_name(task))}</h2>")
        parts.append(table(f"{escape(task_name(task))}: replications", HEADER, body, numbers=(2, 3, 4)))
    parts.append("<h2>Who ran what</h2>")
    for source in found.sources:
        parts.append(f'<h3 id="{escape(source.id)}">{escape(source.id)}</h3>')
        parts.append(facts([("Where", escape(source.where)), ("What was run", escape(source.setup))]))
        parts.append(f"<p>Differs from the paper's measure:</p>{listed(map(escape, source.differs))}")
    claims, stated = {claim.id: claim for claim in study.claims}, statements()
    body = [
        [
            link(study.to(f"claim-{entry.claim}"), claims[entry.claim].statement)
            if entry.claim in claims
            else escape(stated[entry.claim]),
            badge(claims[entry.claim].verdict) if entry.claim in claims else "",
            escape(entry.found),
        ]
        for entry in found.claims
    ]
    parts.append("<h2>What they say of the claims</h2>")
    parts.append(table("Claims and independent results", ["Claim", "Ours", "Independent results"], body))
    parts.append(f"<p>{escape(found.none)}</p>")
    return Page("replications", "Public replications", "".join(parts))


def _key(value: Value) -> tuple[str, bool, int, str]:
    order = list(METHOD_NAMES)
    method = value.method.split(".")[0]
    return value.metric, value.metric != "new_task", order.index(method) if method in order else 99, value.method


def _row(study: Study, source: Source, value: Value) -> list[str]:
    printed = lookup("table5", value.task, value.method, value.metric)
    name = METHOD_NAMES.get(value.method) or ARM_TITLES[value.method]
    return [
        f'<a href="#{escape(source.id)}">{escape(source.id)}</a>',
        f"{escape(name)}, {escape(METRIC_NAMES[value.metric])}",
        "" if printed is None else f"{printed.value:g}",
        escape(value.text),
        str(value.n or ""),
        _ours(study, value),
        escape(value.note),
    ]


def _ours(study: Study, value: Value) -> str:
    for row in study.records.get("table5", {}).get("rows", ()):
        if (row["task"], row["arm"], row["metric"]) == (value.task, value.method, value.metric):
            anchor = f"{row['task']}-{row['arm']}-{row['metric']}"
            return f'<a href="{escape(study.to("table5"))}#{escape(anchor)}">{escape(value_text(row))}</a>'
    return "not in Table 5"
