"""What a table or figure is made of, as its plan.json has it: written by the workflow, read by `sdft.evidence`.

Paths are relative to the folder that the workflow runs in; what they name may not exist (yet).
"""

from __future__ import annotations

from typing import Any, Literal

from sdft.common.schema import Strict
from sdft.study.schema import Tolerance


class Measured(Strict):
    """A model that is measured: its seed, the folder of its scores, and files of further measures (`base.Measure`).

    draw: of the facts that it is asked about, where they are not its base model's.
    """

    seed: int
    scores: str
    draw: str = ""
    trajectory: str | None = None
    passk: str | None = None
    divergence: str | None = None
    flops: str | None = None

    @property
    def files(self) -> dict[str, str]:
        """The files of further measures, by kind."""
        kinds = ("trajectory", "passk", "divergence", "flops")
        return {kind: path for kind in kinds if (path := getattr(self, kind)) is not None}


class RunEntry(Measured):
    """A final run; `base` is the base model that it started from, `model` its model.json."""

    run: str
    base: str | None = None
    model: str | None = None


class BaseEntry(Measured):
    """An untrained model. `task`: the only task that it is scored on; None for all of the scale's, and benchmarks."""

    model: str
    size: str | None = None
    task: str | None = None


class CellEntry(Strict):
    """All final runs of one arm on one task; in a sequence of tasks, of one stage in one order."""

    task: str
    arm: str
    method: str
    size: str | None = None
    order: list[str] | None = None
    stage: int | None = None
    selected: str | None = None
    runs: list[RunEntry]


class ContextEntry(Strict):
    """Base models of one size that see a demonstration or an article with each question of a task."""

    task: str
    context: str
    size: str | None = None
    runs: list[BaseEntry]


class CandidateEntry(Strict):
    """A candidate of a sweep, and the path of its validation.json."""

    task: str
    arm: str
    path: str


class SweepEntry(Strict):
    """What an arm sweeps and fixes; `task_epochs` holds the epochs of tasks that have others than the grid."""

    arm: str
    method: str
    grid: dict[str, Any]
    task_epochs: dict[str, list[int]] = {}
    settings: dict[str, Any]


class VersionEntry(Strict):
    """Shorter versions of a test set: the file that has its order, and how many of its first rows each has."""

    data: str
    rows: list[int]


class Exhibit(Strict):
    """A table or figure at one scale: base models, cells, and what else its declaration asks for.

    seeds: those of its study, where it has its own. evidence and notice: what the scale's numbers are worth, and the
    sentence that says so. unlike: why its cells cannot be compared with the paper's, where they cannot. reason: why
    there is nothing to show, in a clause; cost_hours: device-hours of a study that is switched off. elsewhere: verdicts
    of claims in other arithmetics, by claim and arithmetic.
    """

    name: str
    scale: str
    study: str
    seeds: list[int] = []
    evidence: Literal["paper", "own", "none"]
    notice: str
    unlike: str = ""
    tolerance: Tolerance = Tolerance()
    reason: str = ""
    cost_hours: float | None = None
    base: list[BaseEntry] = []
    cells: list[CellEntry] = []
    contexts: list[ContextEntry] = []
    candidates: list[CandidateEntry] = []
    sweeps: list[SweepEntry] = []
    versions: dict[str, VersionEntry] = {}
    elsewhere: dict[str, dict[str, str]] = {}
    estimators: str | None = None
    gate: list[str] = []

    @property
    def enabled(self) -> bool:
        """Whether there is anything to show."""
        return not self.reason

    @property
    def standing(self) -> dict[str, str]:
        """What the numbers are worth, as every file of numbers says."""
        return {"evidence": self.evidence, "notice": self.notice}

    @property
    def absence(self) -> str:
        """Why there is nothing to show and what it would cost, as a sentence; empty where there is."""
        cost = "" if self.cost_hours is None else f"; it would cost about {self.cost_hours:.3g} device-hours"
        return "" if self.enabled else f"The study is not run: {self.reason}{cost}."
