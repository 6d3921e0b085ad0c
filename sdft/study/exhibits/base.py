"""What a table or figure declares about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["table", "figure"]
# What is measured of a run beside its scores: points along training, pass@k, divergence from the base model, FLOPs.
# And of no run: the estimators on a toy. And read from the scores: other versions of the test sets.
Measure = Literal["trajectory", "passk", "divergence", "flops", "estimators", "versions"]


@dataclass(frozen=True)
class Declaration:
    """A table or figure as the plan, the workflow and the pages know it before anything is measured.

    order: its place among the others. study: the study whose tasks, arms and runs it shows; None for Table 5's own.
    arms: of Table 5's arms, those it shows; None for all. measures: what is taken beside the scores. sweeps: it lists
    what the arms of its study sweep and fix, and shows no run. selections: it is made from the selections of its arms
    alone, before any final run.
    """

    kind: Kind
    title: str
    order: int
    study: str | None = None
    arms: tuple[str, ...] | None = None
    measures: tuple[Measure, ...] = ()
    sweeps: bool = False
    selections: bool = False
