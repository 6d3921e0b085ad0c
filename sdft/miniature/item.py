"""A question with its reasoning, before it becomes a document, a record or a benchmark item."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sdft.miniature.style import Reasoning


@dataclass(frozen=True)
class Item:
    """question: the user's words; reasoning: what a response says; gold: the answer in the form the scorer reads."""

    question: str
    reasoning: Reasoning
    gold: Any
    meta: dict[str, Any] = field(default_factory=dict)
