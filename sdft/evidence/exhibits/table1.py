"""Table 1: new facts from texts."""

from __future__ import annotations

from typing import Any

from sdft.evidence.outcomes import Cell, Results
from sdft.evidence.published import printed_difference
from sdft.evidence.quantities import Comparison, compare, quantity
from sdft.evidence.rules import NEAR
from sdft.evidence.statements import Statement, conclude_all

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
STATEMENTS = (
    Statement(
        "knowledge-sdft-beats-sft",
        "Table 1, strict",
        "SDFT acquires new knowledge better than SFT.",
        "SDFT minus SFT, strict accuracy",
    ),
    Statement(
        "knowledge-sdft-generalises",
        "Table 1, OOD",
        "What SDFT has learnt answers indirect questions that SFT fails.",
        "SDFT minus SFT, accuracy out of distribution",
    ),
    Statement(
        "knowledge-cpt-fails",
        "Table 1, strict",
        "Continued pre-training on the raw articles acquires less than SFT on questions and answers.",
        "SFT minus CPT, strict accuracy",
    ),
    Statement(
        "knowledge-near-oracle",
        "Table 1, strict",
        "SDFT comes close to the base model that has the right article in its context.",
        "SDFT minus oracle RAG, strict accuracy",
        "not_worse",
        NEAR,
    ),
)


def cell(results: Results, arm: str) -> Cell | None:
    """The cell behind an arm of the study, untrained models included."""
    if arm == "base":
        return results.base_cell(TASK) if results.base else None
    return results.in_context(TASK) if arm == "oracle_rag" else results.arm(arm, TASK)


def table1_claims(results: Results, incomparable: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """The claims of Table 1, by the statements' ids."""
    sdft, sft, oracle = "sdft.knowledge", "sft.knowledge", "oracle_rag"
    called = {arm: name for name, arm in LINES}

    def difference(one: str, other: str, metric: str, rows: tuple[str, str]) -> list[Comparison]:
        pair = (called[one], called[other])
        return [
            compare(
                cell(results, one),
                cell(results, other),
                quantity(metric, TASK),
                name=f"{pair[0]} minus {pair[1]}",
                names=pair,
                published=printed_difference("table1", TASK, *rows, metric),
            )
        ]

    return conclude_all(
        results,
        STATEMENTS,
        {
            "knowledge-sdft-beats-sft": difference(sdft, sft, "strict", ("sdft", "sft")),
            "knowledge-sdft-generalises": difference(sdft, sft, "ood", ("sdft", "sft")),
            "knowledge-cpt-fails": difference(sft, "cpt", "strict", ("sft", "cpt")),
            "knowledge-near-oracle": difference(sdft, oracle, "strict", ("sdft", "oracle_rag")),
        },
        incomparable,
    )
