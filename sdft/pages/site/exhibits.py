"""A page for each table and figure beside Table 5."""

from __future__ import annotations

from html import escape
from typing import Any

from sdft.pages.drawings import inline
from sdft.pages.html import badge, command, link, table
from sdft.pages.site.claims import claims_table
from sdft.pages.site.found import Page, Study, arm_name, task_name, title


def exhibit_page(study: Study, name: str) -> Page:
    """A table's sections or a figure's drawing, its claims, its runs and the command that makes it."""
    record = study.records[name]
    own = _drawing(study, name) if "figure" in record else _sections(record)
    parts = [
        f"<h1>{escape(title(name))}, scale {escape(study.spec.scale)}</h1>",
        f"<p>{escape(record.get('notice') or study.spec.notice)}</p>",
    ]
    if record.get("enabled") is False:
        parts.append(f"<p>{badge('NOT RUN')} {escape(record.get('reason') or record.get('caption', ''))}</p>")
    parts += own
    claims = [claim for claim in study.claims if claim.item == name]
    if claims:
        parts += ["<h2>Claims</h2>", claims_table(study, claims, f"Claims about {escape(title(name))}")]
    parts += ["<h2>To repeat</h2>", command(study.to_repeat(name)), _runs(study, name)]
    return Page(name, f"{title(name)}, scale {study.spec.scale}", "".join(parts))


def figure(study: Study, name: str) -> str:
    """A figure's drawing with its caption; empty where it was not drawn."""
    if name not in study.records:
        return ""
    path = study.root / f"figures/{name}.svg"
    caption = study.records[name]["caption"]
    if not path.is_file():
        return f"<p>{badge('NOT RUN')} {escape(caption)}</p>"
    drawing = inline(path.read_text(encoding="utf-8"), str(path))
    short = caption.split(". ")[0]
    return (
        f'<figure><div class="figure" role="img" aria-label="{escape(short)}" tabindex="0">{drawing}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _drawing(study: Study, name: str) -> list[str]:
    record = study.records[name]
    further = [figure_of(study, name, part) for part in record.get("supplements", ())]
    absent = [entry.get("what") or entry.get("arm") or entry.get("path") or "" for entry in record.get("not_drawn", ())]
    missing = [f"<p>{badge('NOT RUN')} {escape('; '.join(map(str, absent)))}</p>"] if absent else []
    return [figure(study, name), *further, *missing]


def figure_of(study: Study, name: str, part: dict[str, Any]) -> str:
    """A supplement of a figure: a drawing of its own with its caption."""
    path = study.root / f"figures/{part['file']}"
    if not path.is_file():
        return ""
    drawing = inline(path.read_text(encoding="utf-8"), str(path))
    return (
        f'<h2>{escape(part["title"])}</h2><figure><div class="figure" role="img" '
        f'aria-label="{escape(part["title"])}" tabindex="0">{drawing}</div>'
        f"<figcaption>{escape(part['caption'])}</figcaption></figure>"
    )


def _sections(verdict: dict[str, Any]) -> list[str]:
    parts = []
    for section in verdict.get("sections", ()):
        caption = section["title"] or "Measured at this scale"
        words = section.get("words", 1)
        body = [[badge(text) if text == "NOT RUN" else escape(text) for text in row] for row in section["body"]]
        header = list(map(escape, section["header"]))
        if body:
            parts.append(table(escape(caption), header, body, range(words, len(header))))
        parts.append(f'<p class="note">{escape(section["note"])}</p>')
    return parts


def _runs(study: Study, name: str) -> str:
    plan = study.plans[name]
    body = []
    for cell in plan.cells:
        where = [escape(task_name(cell.task)), escape(arm_name(cell)), escape(cell.size or "")]
        place = "" if cell.stage is None else f"{' to '.join(map(task_name, cell.order or ()))}, stage {cell.stage + 1}"
        links = ", ".join(link(study.to(f"run-{run.run}"), f"seed {run.seed}") for run in cell.runs)
        body.append([where[1], where[0], where[2], escape(place), links])
    if not body:
        return ""
    return "<h2>The runs behind it</h2>" + table("Runs", ["Arm", "Task", "Size", "Sequence", "Runs"], body)
