"""All pages of a site."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from sdft.pages.html import table
from sdft.pages.ledger import SLIPS, discrepancy_rows, slips
from sdft.pages.shell import page, style
from sdft.pages.site.claims import claim_page
from sdft.pages.site.entry import entry_page
from sdft.pages.site.exhibits import exhibit_page
from sdft.pages.site.found import Page, Study
from sdft.pages.site.replications import replications_page
from sdft.pages.site.runs import base_page, run_page
from sdft.pages.site.sweeps import sweep_page
from sdft.pages.site.table5 import table5_page
from sdft.study.exhibits import find

SHEET = "site.css"


def files(study: Study) -> Iterator[tuple[str, str]]:
    """Every file of the site: its path below the folder of the entry page, and its text."""
    for one in pages(study):
        yield written(study, one)
    yield f"{study.spec.entry}/{SHEET}", style()


def pages(study: Study) -> Iterator[Page]:
    """The entry page first, then every other one."""
    yield entry_page(study)
    for name in study.records:
        yield table5_page(study) if name == "table5" else exhibit_page(study, name)
    for claim in study.claims:
        yield claim_page(study, claim)
    for cell, run in study.runs.values():
        yield run_page(study, cell, run)
    for base in study.bases.values():
        yield base_page(study, base)
    made = set()
    for plan in study.plans.values():
        for cell in plan.cells:
            found = sweep_page(study, cell)
            if found and found.name not in made:
                made.add(found.name)
                yield found
    yield replications_page(study)
    yield discrepancies_page()


def discrepancies_page() -> Page:
    """Where the paper contradicts itself, its code or its data."""
    body = [[escape(text) for text in row] for row in discrepancy_rows({"discrepancies": slips()})]
    title = "Where the paper contradicts itself, its code or its data"
    return Page("discrepancies", title, f"<h1>{title}</h1>" + table("Discrepancies", SLIPS, body))


def written(study: Study, one: Page) -> tuple[str, str]:
    """A page's path below the folder of the entry page, and its whole HTML."""
    entry, up = study.spec.entry, "../" if one.name else ""
    folder = "" if one.name else f"{entry}/"
    links = [(f"{up}{entry}.html", "Overview")]
    # Hundreds of pages of runs, which say where they are shown, do without the way to everything else.
    if not one.name or one.name in study.records:
        links += [(f"{folder}{study.to(name)}", find(name).title) for name in study.records]
        links += [(f"{folder}{study.to('replications')}", "Replications")]
        links += [(f"{folder}{study.to('discrepancies')}", "Discrepancies")]
    path = f"{entry}/{one.name}.html" if one.name else f"{entry}.html"
    # Hundreds of pages share one file; the entry page can be sent alone.
    return path, page(one.title, one.body, links, SHEET if one.name else None)
