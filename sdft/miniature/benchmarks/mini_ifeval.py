"""How a response to an instruction is scored; lm_eval loads this file by its path."""

from __future__ import annotations

from sdft.miniature.priors import instructions


def score(doc: dict, results: list[str]) -> dict[str, float]:
    """Whether the response obeys its instruction, strictly."""
    return {"acc": float(instructions.obeys(results[0].strip(), doc["check"]))}
