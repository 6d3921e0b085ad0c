"""Figure 8: which weights the teacher has."""

from __future__ import annotations

from typing import Any

from sdft.evidence.exhibits.policies import arms, difference
from sdft.evidence.outcomes import Results
from sdft.evidence.quantities import Comparison
from sdft.evidence.rules import NEAR
from sdft.evidence.statements import Statement, conclude_all

# arm, how it is called, the paper's row
TEACHERS = (
    ("sdft", "EMA", "ema_teacher"),
    ("sdft.bfloat16_ema", "EMA in bfloat16 (ours)", None),
    ("sdft.frozen", "Frozen base", "base_teacher"),
    ("sdft.student", "Current student", "student_teacher"),
)
STATEMENTS = (
    Statement(
        "ema-beats-frozen",
        "Figure 8",
        "A teacher that follows the student slowly is better than the frozen base model.",
        "EMA minus frozen, accuracy",
    ),
    Statement(
        "student-teacher-collapses",
        "Figure 8",
        "With the current student as its own teacher, training collapses.",
        "EMA minus current student and frozen minus current student, accuracy",
    ),
    Statement(
        "bfloat16-ema-is-frozen",
        "not in the paper",
        "An EMA in bfloat16 arithmetic, as in the official code, does what a frozen teacher does.",
        "EMA in bfloat16 minus frozen, accuracy",
        "unchanged",
        NEAR,
        ours=True,
    ),
)


def figure8(results: Results) -> dict[str, Any]:
    """Numbers of Figure 8: which weights the teacher has."""

    def minus(one: str, other: str) -> Comparison:
        return difference(results, "figure8", TEACHERS, one, other)

    claims = conclude_all(
        results,
        STATEMENTS,
        {
            "ema-beats-frozen": [minus("sdft", "sdft.frozen")],
            "student-teacher-collapses": [minus("sdft", "sdft.student"), minus("sdft.frozen", "sdft.student")],
            "bfloat16-ema-is-frozen": [minus("sdft.bfloat16_ema", "sdft.frozen")],
        },
    )
    return {**arms(results, "figure8", TEACHERS), "claims": claims}
