"""How the two generative benchmarks read a response; lm_eval loads this file by its path."""

from __future__ import annotations

from sdft.miniature.priors import instructions
from sdft.miniature.sandbox import outputs


def ifeval(doc: dict, results: list[str]) -> dict[str, float]:
    """Whether the response obeys its instruction, strictly."""
    return {"acc": float(instructions.obeys(results[0].strip(), doc["check"]))}


def humaneval(doc: dict, results: list[str]) -> dict[str, float]:
    """Whether the program that was written gives the right output for every test input; it is really run."""
    inputs, expected = zip(*doc["tests"], strict=True)
    return {"pass@1": float(outputs(results[0].strip(), doc["argument"], list(inputs)) == list(expected))}
