"""Knowledge acquisition: Table 1 and what the teacher's context holds (Figure 7)."""

from __future__ import annotations

from typing import Any

from sdft.evidence.outcomes import Cell, Results
from sdft.evidence.published import lookup
from sdft.evidence.quantities import Comparison, compare, measured_row, quantity
from sdft.evidence.statements import conclude_all

TASK = "knowledge"
METRICS = ("strict", "lenient", "ood")
# Lines of Table 1 in its order: how the line is called, and the arm that stands behind it.
LINES = (
    ("Base", "base"),
    ("Oracle RAG", "oracle_rag"),
    ("CPT", "cpt"),
    ("SFT", "sft.knowledge"),
    ("SDFT", "sdft.knowledge"),
)
# Bars of Figure 7: the paper's row, how it is called, the arm.
CONTEXTS = (
    ("answer_only", "Answer alone", "sdft.answer"),
    ("text_only", "Text alone", "sdft.text"),
    ("text_and_answer", "Text and answer", "sdft.knowledge"),
)


def cell(results: Results, arm: str) -> Cell | None:
    """The cell behind an arm of the study, untrained models included."""
    if arm == "base":
        return results.base_cell(TASK) if results.base else None
    return results.in_context(TASK) if arm == "oracle_rag" else results.arm(arm, TASK)


def _published(item: str, one: str, other: str, metric: str) -> float | None:
    pair = [lookup(item, TASK, method, metric) for method in (one, other)]
    return None if None in pair else round(pair[0].value - pair[1].value, 3)


def _difference(results: Results, one: str, other: str, metric: str, item: str, rows: tuple[str, str]) -> Comparison:
    names = {arm: name for name, arm in LINES}
    if item == "figure7":
        names = {arm: name for _, name, arm in CONTEXTS}
    pair = (names[one], names[other])
    return compare(
        cell(results, one),
        cell(results, other),
        quantity(metric, TASK),
        name=f"{pair[0]} minus {pair[1]}",
        names=pair,
        published=_published(item, *rows, metric),
    )


def table1_claims(results: Results, incomparable: dict[str, str] | None = None) -> list[dict[str, Any]]:
    sdft, sft, oracle = "sdft.knowledge", "sft.knowledge", "oracle_rag"

    def difference(one: str, other: str, metric: str, rows: tuple[str, str]) -> list[Comparison]:
        return [_difference(results, one, other, metric, "table1", rows)]

    return conclude_all(
        results,
        "table1",
        {
            "knowledge-sdft-beats-sft": difference(sdft, sft, "strict", ("sdft", "sft")),
            "knowledge-sdft-generalises": difference(sdft, sft, "ood", ("sdft", "sft")),
            "knowledge-cpt-fails": difference(sft, "cpt", "strict", ("sft", "cpt")),
            "knowledge-near-oracle": difference(sdft, oracle, "strict", ("sdft", "oracle_rag")),
        },
        incomparable,
    )


def figure7(results: Results) -> dict[str, Any]:
    """Bars of Figure 7, in percent, with the paper's beside them and what was not run."""
    bars, not_drawn = [], []
    for row, name, arm in CONTEXTS:
        own = cell(results, arm)
        printed = lookup("figure7", TASK, row, "strict")
        values = {metric: measured_row("figure7", own, quantity(metric, TASK)) for metric in METRICS} if own else {}
        if not values or values["strict"]["mean"] is None or not results.enabled:
            not_drawn.append({"what": name, "arm": arm, "why": "NOT RUN"})
            values = {}
        bars.append({"context": row, "label": name, "arm": arm, "paper": printed.value, **_numbers(values)})
    claims = conclude_all(
        results,
        "figure7",
        {
            "context-order": [
                _difference(
                    results, "sdft.knowledge", "sdft.text", "strict", "figure7", ("text_and_answer", "text_only")
                ),
                _difference(results, "sdft.text", "sdft.answer", "strict", "figure7", ("text_only", "answer_only")),
            ]
        },
    )
    return {"unit": "percent", "bars": bars, "not_drawn": not_drawn, "claims": claims}


def _numbers(values: dict[str, dict[str, Any]]) -> dict[str, Any]:
    kept = ("mean", "low", "high", "by_seed", "seeds", "n_seeds", "n_items", "runs")
    return {
        metric: {name: row[name] for name in kept} if row["mean"] is not None else None
        for metric, row in values.items()
    }
