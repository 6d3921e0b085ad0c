"""How a program that a model wrote is scored; lm_eval loads this file by its path."""

from __future__ import annotations

from sdft.miniature.sandbox import outputs


def score(doc: dict, results: list[str]) -> dict[str, float]:
    """Whether the program that was written gives the right output for every test input; it is really run."""
    inputs, expected = zip(*doc["tests"], strict=True)
    return {"pass@1": float(outputs(results[0].strip(), doc["argument"], list(inputs)) == list(expected))}
