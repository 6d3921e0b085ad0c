"""Figure 8: which weights the teacher has."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from sdft.evidence.exhibits.figure8 import figure8 as measure
from sdft.evidence.outcomes import Results
from sdft.pages.figures import policies
from sdft.pages.figures.style import opening, page_not_run

LOOKS: policies.Looks = {
    "sdft": ("#0072b2", "o", "-", ""),
    "sdft.bfloat16_ema": ("#e69f00", "D", "-.", "\\\\"),
    "sdft.frozen": ("#009e73", "s", "--", "//"),
    "sdft.student": ("#d55e00", "v", ":", ".."),
}


def figure8(results: Results) -> tuple[Figure, dict[str, Any]]:
    """Bars at the end and curves along training: EMA, EMA in bfloat16, frozen base, current student."""
    numbers = measure(results)
    if not results.enabled:
        return page_not_run(results, "figure8", numbers["claims"])
    caption = (
        f"{opening(results, 'figure8')} SDFT with four teachers: an EMA of the student (float32 arithmetic), the same "
        "in bfloat16 arithmetic as in the official code (our control), the frozen base model, and the current student. "
        f"{policies.ending(numbers)}"
    )
    return policies.draw(results, numbers, LOOKS), {"caption": caption, **numbers}
