"""Fragments of HTML that every page is made of: escaped text, tables that can be read aloud, verdicts, links."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from html import escape

# What the words say, in the order in which they are counted.
MEANING = {
    "MATCH": "the interval holds the printed number and was narrow enough to miss it",
    "DIRECTION": "the claimed sign holds: the interval excludes zero on that side",
    "WITHIN": "the interval lies inside the margin that was declared beforehand",
    "NO DIFFERENCE": "the interval excludes any difference of interest, where the claim is that there is one",
    "INCONCLUSIVE": "the interval allows both, or it is against the claim but no longer after Holm's correction for "
    "the claim's several tests; more seeds or items would be needed",
    "MISMATCH": "the measurement says the opposite of the claim",
    "INCOMPARABLE": "measured under other conditions than the paper's, so the two numbers cannot be compared",
    "NOT TESTABLE": "the conditions that the statement speaks of did not come about",
    "NOT RUN": "nothing was measured",
    "FROM RELEASE": "recomputed from published outputs, nothing was trained",
}
HOLDS = ("MATCH", "DIRECTION", "WITHIN")


@dataclass(frozen=True)
class Row:
    """A table's row: cells of HTML, and an id that links lead to."""

    cells: Sequence[str]
    id: str = ""
    strong: bool = False


def table(
    caption: str,
    header: Sequence[str],
    body: Iterable[Row | Sequence[str]],
    numbers: Collection[int] = (),
    stacked: bool = True,
) -> str:
    """A table whose first column names the row. Header and cells are HTML; columns of `numbers` align right.

    On a narrow screen a stacked table shows each row as a list of labelled cells, any other one scrolls.
    """
    align = ["number" if k in numbers else "" for k in range(len(header))]

    def role(name: str) -> str:
        # Stated, since a table that is laid out as a list would lose it.
        return f' role="{name}"' if stacked else ""

    def labelled(k: int) -> str:
        return f'{role("cell")} data-label="{escape(_plain(header[k]))}"' if stacked else ""

    columns = f' scope="col"{role("columnheader")}'
    head = "".join(_cell("th", columns, align[k], cell) for k, cell in enumerate(header))
    rows = []
    for entry in body:
        row = entry if isinstance(entry, Row) else Row(entry)
        first, *others = row.cells
        cells = _cell("th", f' scope="row"{role("rowheader")}', align[0], first)
        cells += "".join(_cell("td", labelled(k), align[k], cell) for k, cell in enumerate(others, start=1))
        own = (f' id="{escape(row.id)}"' if row.id else "") + (' class="strong"' if row.strong else "")
        rows.append(f"<tr{role('row')}{own}>{cells}</tr>")
    kind = "stacked" if stacked else "plain"
    return (
        f'<div class="scroll" role="region" aria-label="{escape(_plain(caption))}" tabindex="0">'
        f'<table{role("table")} class="{kind}"><caption>{caption}</caption>'
        f"<thead{role('rowgroup')}><tr{role('row')}>{head}</tr></thead>"
        f"<tbody{role('rowgroup')}>{''.join(rows)}</tbody></table></div>"
    )


def _cell(tag: str, attributes: str, kind: str, content: str) -> str:
    return f"<{tag}{attributes}{f' class={kind}' if kind else ''}>{content}</{tag}>"


def _plain(fragment: str) -> str:
    """The text of a fragment that holds no more than simple elements."""
    parts = fragment.replace("<", "\0<").replace(">", ">\0").split("\0")
    return "".join(part for part in parts if not part.startswith("<"))


def badge(verdict: str) -> str:
    """A verdict's word as a labelled box."""
    return f'<span class="verdict {escape(verdict.lower().replace(" ", "-"))}">{escape(verdict)}</span>'


def legend(words: Collection[str]) -> str:
    """What the verdicts on a page mean."""
    shown = [word for word in MEANING if word in words]
    return facts((badge(word), escape(MEANING[word])) for word in shown) if shown else ""


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of terms and what is said of them, both HTML."""
    return f"<dl>{''.join(f'<dt>{term}</dt><dd>{said}</dd>' for term, said in pairs)}</dl>"


def link(target: str, text: str) -> str:
    """A link to a page of the site, whose text is escaped."""
    return f'<a href="{escape(target)}">{escape(text)}</a>'


def code(text: object) -> str:
    """A command, path or identifier."""
    return f"<code>{escape(str(text))}</code>"


def command(text: str) -> str:
    """A command on lines of its own."""
    return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'


def folded(summary: str, content: str) -> str:
    """What is opened when it is wanted, and always printed. The summary is text and says what is inside."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def listed(entries: Iterable[str]) -> str:
    """A list of HTML entries; empty where there is none."""
    items = "".join(f"<li>{entry}</li>" for entry in entries)
    return f"<ul>{items}</ul>" if items else ""
