"""Figure 6: one teacher, on the student's own samples and on the teacher's own, fixed or fresh."""

from __future__ import annotations

from typing import Any

from sdft.evidence.exhibits.policies import arms, difference
from sdft.evidence.outcomes import Results
from sdft.evidence.quantities import Comparison
from sdft.evidence.statements import Statement, conclude_all

# arm, how it is called, the paper's row
POLICIES = (
    ("sdft", "On-policy (SDFT)", "sdft"),
    ("off_policy_fresh", "Fresh teacher samples (ours)", None),
    ("offline_distillation", "Fixed teacher samples, KL", "offline_distillation"),
    ("sft_from_teacher", "Fixed teacher samples, SFT", "sft_from_teacher"),
)
STATEMENTS = (
    Statement(
        "onpolicy-beats-offline",
        "Figure 6",
        "Learning from the teacher on the student's own samples is better than on fixed samples of the teacher.",
        "SDFT minus offline distillation, accuracy",
    ),
    Statement(
        "onpolicy-beats-teacher-sft",
        "Figure 6",
        "It is better than SFT on samples of the teacher.",
        "SDFT minus SFT on teacher samples, accuracy",
    ),
    Statement(
        "onpolicy-beats-fresh",
        "not in the paper",
        "It is better than distillation on samples of the teacher that are as fresh as SDFT's own.",
        "SDFT minus distillation on fresh teacher samples, accuracy",
        ours=True,
    ),
)


def figure6(results: Results) -> dict[str, Any]:
    """Numbers of Figure 6: the same teacher three ways, and the control that separates freshness from policy."""

    def minus(other: str) -> list[Comparison]:
        return [difference(results, "figure6", POLICIES, "sdft", other)]

    claims = conclude_all(
        results,
        STATEMENTS,
        {
            "onpolicy-beats-offline": minus("offline_distillation"),
            "onpolicy-beats-teacher-sft": minus("sft_from_teacher"),
            "onpolicy-beats-fresh": minus("off_policy_fresh"),
        },
    )
    return {**arms(results, "figure6", POLICIES), "claims": claims}
