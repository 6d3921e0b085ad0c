"""The one place where pages take claims and their verdicts from: the ledger's lines.

Pages show what is found here and decide nothing themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sdft.evidence.rules import AGAINST
from sdft.pages.ledger import WORDS, lines_of


@dataclass(frozen=True)
class Claim:
    """A sentence with the verdict that counts at one scale.

    tests: its single tests, each {"name", "verdict"} with "difference", "low", "high", "n_seeds", "n_items", "seeds",
    "by_seed" and more where it was run. readings: the verdict of each reading of the measurement, by name; counts: the
    one that is the claim's. needed: base models and seeds that would decide it. ours: a question that the paper does
    not ask.
    """

    id: str
    item: str
    place: str
    statement: str
    ours: bool
    test: str
    verdict: str
    reading: str
    tests: tuple[dict[str, Any], ...] = ()
    readings: dict[str, str] = field(default_factory=dict)
    counts: str | None = None
    needed: dict[str, int] | None = None
    cost_hours: float | None = None


def claims_of(scale: str, records: dict[str, dict[str, Any]], items: Sequence[str]) -> list[Claim]:
    """The claims of some tables and figures at a scale, from their verdict records by name.

    A statement of an item without a record is NOT RUN.
    """
    return [_claim(line) for line in lines_of(scale, records) if line["item"] in items]


def _claim(line: dict[str, Any]) -> Claim:
    return Claim(
        **{name: line[name] for name in ("id", "item", "place", "statement", "ours", "test", "verdict", "reading")},
        tests=tuple(line["evidence"].get("tests", ())),
        readings=line.get("readings") or {},
        counts=line.get("counts"),
        needed=line.get("needed"),
        cost_hours=line.get("cost_hours"),
    )


def counts_of(claims: Sequence[Claim]) -> dict[str, int]:
    """How many claims have each verdict, in the order of the ledger's words."""
    found = Counter(claim.verdict for claim in claims)
    return {word: found[word] for word in dict.fromkeys((*WORDS, *found)) if found[word]}


def against(claims: Sequence[Claim]) -> list[Claim]:
    """The paper's claims that came out against it."""
    return [claim for claim in claims if claim.verdict in AGAINST and not claim.ours]
