"""Figure 6: the same teacher on the student's own samples and on its own, fixed or fresh."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from sdft.evidence.exhibits.figure6 import figure6 as measure
from sdft.evidence.outcomes import Results
from sdft.pages.figures import policies
from sdft.pages.figures.style import opening, page_not_run

LOOKS: policies.Looks = {
    "sdft": ("#0072b2", "o", "-", ""),
    "off_policy_fresh": ("#e69f00", ">", "-.", "\\\\"),
    "offline_distillation": ("#009e73", "X", "--", "//"),
    "sft_from_teacher": ("#56b4e9", "<", ":", ".."),
}


def figure6(results: Results) -> tuple[Figure, dict[str, Any]]:
    """Bars at the end and curves along training, our control among them."""
    numbers = measure(results)
    if not results.enabled:
        return page_not_run(results, "figure6", numbers["claims"])
    caption = (
        f"{opening(results, 'figure6')} One teacher, four ways to learn from it: the student's own samples (SDFT), a "
        "fresh sample of the teacher at every step (our control: as off-policy as the next two, as fresh as SDFT), "
        f"fixed samples of the teacher with the same divergence, and SFT on them. {policies.ending(numbers)}"
    )
    return policies.draw(results, numbers, LOOKS), {"caption": caption, **numbers}
