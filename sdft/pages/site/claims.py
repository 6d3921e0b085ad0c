"""Claims: their table, and a page for each with its test, its numbers, the runs behind it and what would decide it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from sdft.evidence.statements import READING_NAMES, design_setting, design_text, more_models
from sdft.pages.claims import Claim
from sdft.pages.html import badge, command, facts, legend, link, table
from sdft.pages.site.found import Page, Study, arm_name, task_name, title

HEADER = (
    *("Test", "Verdict", "Difference", "95 % interval", "Paper", "p", "p against it (Holm)", "Seeds", "Items"),
    "By seed",
)


def claims_table(study: Study, claims: Sequence[Claim], caption: str, prefix: str = "") -> str:
    """A line a claim: its verdict, the sentence, which leads to its page, and its place in the paper."""
    body = [
        [
            f'<a href="{escape(prefix + study.to(f"claim-{claim.id}"))}">{escape(claim.statement)}</a>'
            + (" (our question)" if claim.ours else ""),
            badge(claim.verdict),
            escape(claim.place),
            escape(claim.reading),
        ]
        for claim in claims
    ]
    return table(caption, ["Statement", "Verdict", "Place", "What was found"], body)


def claim_page(study: Study, claim: Claim) -> Page:
    """Everything about one claim."""
    asked = "A question of ours, which the paper does not ask." if claim.ours else f"The paper: {claim.place}."
    parts = [
        f"<h1>{escape(claim.statement)}</h1>",
        f"<p>{badge(claim.verdict)} {escape(asked)}</p>",
        f"<p>{escape(claim.reading)}</p>",
    ]
    if claim.readings:
        body = [
            [escape(READING_NAMES.get(name, name)), badge(verdict), "yes" if name == claim.counts else "no"]
            for name, verdict in claim.readings.items()
        ]
        parts.append(table("Two readings of the same measurement", ["Reading", "Verdict", "Counts"], body))
    parts.append(f"<h2>The test</h2><p>{escape(claim.test)}</p>")
    if claim.tests:
        parts.append(table("Its tests", HEADER, [_test(test) for test in claim.tests], numbers=range(2, 9)))
    parts.append(_deciding(study, claim))
    if claim.verdict == "NOT RUN" and claim.cost_hours is not None:
        parts.append(f"<p>It would cost about {claim.cost_hours:.3g} device-hours.</p>")
    parts.append("<h2>To repeat</h2>" + command(study.to_repeat(claim.item)))
    parts.append(f"<p>The numbers are those of {link(study.to(claim.item), title(claim.item))}.</p>")
    parts.append(_data(study, claim))
    words = {claim.verdict, *(test["verdict"] for test in claim.tests)}
    parts.append("<h2>What the words say</h2>" + legend(words))
    return Page(f"claim-{claim.id}", claim.statement, "".join(parts))


def _deciding(study: Study, claim: Claim) -> str:
    """What would decide a claim that is undecided."""
    if claim.verdict != "INCONCLUSIVE":
        return ""
    title = "<h2>What would decide it</h2>"
    if not claim.needed:
        return f"{title}<p>No design of base models and seeds that anybody would run; see what was found above.</p>"
    said = f"{design_text(claim.needed)}, if the difference stays what it is.{more_models(claim.needed)}"
    return f"{title}<p>{escape(said)}</p>" + command(
        f"{study.to_repeat(claim.item)} '{design_setting(claim.needed, study.plans[claim.item])}'"
    )


def _test(test: dict[str, Any]) -> list[str]:
    if test.get("difference") is None:
        return [escape(test["name"]), badge("NOT RUN"), *[""] * (len(HEADER) - 2)]
    unit = str(test.get("unit", "")).replace("percentage points", "points")
    shown = test.get("fraction") is not None
    value, low, high = (
        (test["fraction"], test.get("fraction_low"), test.get("fraction_high"))
        if shown
        else (test["difference"], test.get("low"), test.get("high"))
    )
    ends = " to ".join("unbounded" if end is None else _number(end, shown) for end in (low, high))
    return [
        escape(test["name"]),
        badge(test["verdict"]),
        f"{_number(value, shown)} {'of the loss' if shown else escape(unit)}",
        ends,
        printed(test, shown),
        _p(test.get("p")),
        _p(test.get("p_holm")),
        str(test.get("n_seeds", "")),
        str(test.get("n_items", "")),
        escape(", ".join(_number(value) for value in test.get("by_seed") or ())),
    ]


def printed(test: dict[str, Any], share: bool) -> str:
    """The paper's own number of a test; a share of SFT's loss in percent."""
    value = test.get("published")
    value = value.get("value") if isinstance(value, dict) else value
    return "" if value is None else _number(value, share)


def _number(value: float, share: bool = False) -> str:
    return f"{100 * value:z.0f} %" if share else f"{value:+z.2f}"


def _p(value: float | None) -> str:
    return "" if value is None else "&lt; 0.0001" if value < 1e-4 else f"{value:.2g}"


def _data(study: Study, claim: Claim) -> str:
    """The runs that the claim's tests compare, and the base models; all of the table or figure where it has others."""
    plan = study.plans.get(claim.item)
    if not plan or not plan.cells:
        return ""
    compared = [set(test.get("runs") or ()) for test in claim.tests if test.get("difference") is not None]
    known = bool(compared) and all(compared)
    names = set().union(*compared)
    cells = [cell for cell in plan.cells if not known or any(entry.run in names for entry in cell.runs)]
    body = [
        (
            f"{escape(task_name(cell.task))}, {escape(arm_name(cell))}"
            + (f", stage {cell.stage + 1}" if cell.stage is not None else ""),
            ", ".join(link(study.to(f"run-{run.run}"), f"seed {run.seed}") for run in cell.runs),
        )
        for cell in cells
    ]
    if not known:
        return f"<h2>All runs of {escape(title(claim.item))}</h2>" + facts(body)
    models = dict.fromkeys(entry.model for entry in plan.base if entry.model in names)
    if models:
        shown = (link(study.to(f"base-{name}"), name) if name in study.bases else escape(name) for name in models)
        body.append(("Base models", ", ".join(shown)))
    return "<h2>The runs behind it</h2>" + facts(body)
