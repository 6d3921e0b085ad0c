"""The study as typed data: what config.yaml may say. Unknown keys are refused with the nearest valid name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from sdft.common.endpoint import EndpointConfig, ModelName
from sdft.common.errors import did_you_mean
from sdft.common.schema import (
    NUMBER,
    Candidates,
    FolderName,
    Names,
    NonNegative,
    Positive,
    Repository,
    Seeds,
    Strict,
    Tasks,
)
from sdft.data.schema import MiniatureData, OfficialData, TaskName
from sdft.methods import find_method, method_names
from sdft.methods.hyperparameters import (
    SWEPT,
    Grid,
    Recipe,
    Replacement,
    check_option_names,
    combinations,
    parse_options,
)
from sdft.methods.settings import MethodName, TrainingOverrides, TrainingSettings, check_shards
from sdft.models.schema import BaseModelSource, Evaluation, Models
from sdft.tasks.benchmarks import BENCHMARKS

# Part of a path and of a rule's wildcards.
ScaleName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
# A name of lm_eval's: of a task, or of a metric with its filter.
LmEvalName = Annotated[str, Field(pattern=r"^\S+$")]
StudyName = Literal[
    "knowledge",
    "reasoning",
    "teacher",
    "sequential",
    "scaling",
    "onpolicy",
    "teachers",
    "ablations",
    "foreign",
    "critics",
]


STUDIES: tuple[str, ...] = get_args(StudyName)


class Arm(Strict):
    """One row of a study: a method, its hyper-parameters, and what it fixes apart from them.

    paper: where the paper prints its sweep. grid: candidates of its own; like: instead, the arm whose winner on the
    same task it takes, with `replace`. options: settings that its method alone has. models: base models in place of the
    scale's, seed by seed. parent: the arm whose final run of the same seed it starts from.
    """

    method: MethodName
    paper: str | None = None
    grid: Grid | None = None
    like: str | None = None
    replace: Replacement = Replacement()
    options: dict[str, Any] = {}
    demonstration: str | None = None
    settings: TrainingOverrides = TrainingOverrides()
    models: list[FolderName] | None = Field(default=None, min_length=1)
    parent: str | None = None

    @property
    def starts_from(self) -> str | None:
        """The arm whose final run it starts from: `parent`, or what its method declares; None for the base model."""
        return self.parent or find_method(self.method).starts_from

    @model_validator(mode="before")
    @classmethod
    def _names_are_known(cls, values: Any) -> Any:
        """Before the grid's own checks, so that a misspelt key is not reported as a missing one."""
        if isinstance(values, dict) and values.get("method") in method_names():
            for key, shared in (("grid", True), ("replace", True), ("options", False)):
                if isinstance(values.get(key), dict):
                    try:
                        check_option_names(values["method"], values[key], shared)
                    except ValueError as error:
                        raise ValueError(f"{key}: {error}") from None
        return values

    @model_validator(mode="after")
    def _hyperparameters_from_one_place(self) -> Arm:
        if (self.grid is None) == (self.like is None):
            raise ValueError("give either grid (a sweep of its own) or like (an arm whose winner it takes)")
        if self.grid is not None and self.replace.model_fields_set:
            raise ValueError("replace changes the winner of the arm named by like; put the values into grid instead")
        return self

    @model_validator(mode="after")
    def _options_have_values(self) -> Arm:
        parse_options(self.method, {**self.options, **(self.replace.model_extra or {})})
        if self.grid is not None:
            list(combinations(self.method, self.options, self.grid))
        return self

    @model_validator(mode="after")
    def _ema_rate_where_needed(self) -> Arm:
        averages = find_method(self.method).averages
        if self.grid is not None and averages and self.grid.ema_rate is None:
            raise ValueError(f"{self.method} needs grid.ema_rate, for example [0.01, 0.02, 0.05] (PAPER Table 3)")
        for key, values in (("grid", self.grid), ("replace", self.replace)):
            if values is not None and not averages and values.ema_rate is not None:
                raise ValueError(f"{self.method} has no EMA teacher; leave {key}.ema_rate out")
        return self


def _check_winner(name: str, arm: Arm, other: Arm) -> None:
    """Raise ValueError where an arm cannot take the winner of the arm that it is like."""
    if other.grid is None:
        raise ValueError(f"arm {name}: like names {arm.like!r}, which has no grid; name the arm it is like")
    if find_method(arm.method).averages and other.grid.ema_rate is None and arm.replace.ema_rate is None:
        raise ValueError(
            f"arm {name}: {arm.method} needs an ema_rate, and the winner of {arm.like} has none; give one as "
            "replace.ema_rate, for example 0.02, or give the arm a grid"
        )
    for option in other.grid.model_extra or {}:
        if option in arm.options:
            raise ValueError(f"arm {name}: {arm.like} sweeps {option}; put the value into replace, not into options")
        try:
            check_option_names(arm.method, [option])
        except ValueError as error:
            raise ValueError(
                f"arm {name}: it takes the winner of {arm.like}, whose grid sweeps {option}; {error}"
            ) from None


class Study(Strict):
    """One result of the paper beside Table 5, with the arms that only it has.

    paper: its place in the paper. share: arms of Table 5 whose runs it uses. orders: task sequences (sequential
    learning). own_facts: whether every seed learns facts of its own: at its base model's first turn those of the
    base model, after t turns the world's draw of the model's number + 1000 t, in the shared arms too.
    contexts: demonstrations that the base model is measured with (with the first of them also the model of
    each stage of a sequence), and split: of the data on which that and the divergence are measured. limit, prior_limit,
    samples: items and samples of the measures a study takes beside the scores (points along training, pass@k,
    divergence from the base model).
    """

    enabled: bool = True
    paper: str | None = None
    tasks: Tasks[TaskName]
    share: Names = []
    arms: dict[str, Arm] = {}
    seeds: Seeds | None = None
    own_facts: bool = False
    orders: list[Tasks[TaskName]] = []
    contexts: Names = []
    split: Literal["test", "validation"] = "test"
    limit: Positive | None = None
    prior_limit: Positive | None = None
    samples: Positive = 1

    def every_task(self) -> list[str]:
        """The tasks of the study and of its sequences, each once."""
        return list(dict.fromkeys((*self.tasks, *(task for order in self.orders for task in order))))


class PriorTask(Strict):
    """One prior-capability benchmark: lm_eval's task name and the metric that Table 5 shows.

    siblings: lm_eval tasks that run beside it, whose metrics are stored under their own names and shown nowhere.
    """

    task: LmEvalName
    metric: LmEvalName
    siblings: list[LmEvalName] = []


class Prior(Strict):
    """The prior-capability protocol (lm_eval)."""

    include_path: str | None = None
    tasks: dict[str, PriorTask]
    apply_chat_template: bool = False
    num_fewshot: NonNegative | None = None
    batch_size: Positive = 1
    limit: Positive | None = None
    sweep_limit: Positive | None = None
    sweep_batch_size: Positive | None = None
    local_data: bool = False
    revisions: dict[Repository, Annotated[str, Field(pattern="^[0-9a-f]{40}$")]] = {}
    generated_code: Literal["sandbox", "bare"] = "sandbox"

    @model_validator(mode="after")
    def _all_six(self) -> Prior:
        for name in self.tasks:
            if name not in BENCHMARKS:
                raise ValueError(f"there is no prior benchmark {name!r}; {did_you_mean(name, BENCHMARKS)}")
        missing = [name for name in BENCHMARKS if name not in self.tasks]
        if missing:
            raise ValueError(f"the prior average needs all six benchmarks; missing: {', '.join(missing)}")
        return self


class Judge(EndpointConfig):
    """Who decides whether an answer is right, where no rule can: a model, or the offline judge (null)."""

    second_model: ModelName | None = None
    cache: str = "results/judge"


class Released(BaseModelSource):
    """A model that the authors released after training it: scored as it is, never trained."""

    task: TaskName
    method: MethodName = "sdft"


class Scale(Strict):
    """One scale of the same study: a file in config/, or an entry under `scales`.

    evidence: what its numbers are. paper: they stand beside the paper's and get its verdicts; own: of a world of its
    own, so that claims are tested and numbers are not compared; none: they prove the wiring only. notice: one sentence
    shown with every number; incomparable: why no number is compared with the paper's, where that is so. arithmetics: a
    record of claims in several arithmetics (`benchmarks.arithmetics`); a claim whose verdict differs in one of them
    counts as INCONCLUSIVE. grids: lists of candidates by name, for arms.
    """

    evidence: Literal["paper", "own", "none"] = "own"
    notice: str = "A scale of its own: its numbers are not the paper's."
    incomparable: str = "a scale of its own, not the paper's study"
    arithmetics: str | None = None

    seeds: Seeds = [0, 1, 2]
    sweep_seeds: Seeds | None = None
    tasks: Tasks[TaskName]
    task_epochs: dict[TaskName, Candidates[Annotated[int, Field(gt=0, lt=SWEPT["epochs"].below), NUMBER]]] = {}
    demonstration: str
    models: Models
    data: Annotated[MiniatureData | OfficialData, Field(discriminator="source")]
    training: TrainingOverrides = TrainingOverrides()
    evaluation: Evaluation
    judge: Judge | None = None
    prior: Prior
    grids: dict[str, Grid] = {}
    released: dict[FolderName, Released] = {}
    arms: dict[str, Arm] = Field(min_length=1)
    studies: dict[StudyName, Study] = {}
    published_recipe: Recipe | None = None
    gpus: NonNegative = 0

    @field_validator("released")
    @classmethod
    def _released_from_somewhere(cls, released: dict[str, Released]) -> dict[str, Released]:
        for name, entry in released.items():
            if not (entry.path or entry.repository or entry.architecture):
                raise ValueError(f"{name} needs a repository with its revision, a local path, or an architecture")
        return released

    def evaluation_of(self, base: str) -> Evaluation:
        """How accuracy is measured of a base model and of what is trained from it."""
        source = self.models.sources.get(base)
        own = source.evaluation.model_dump(exclude_unset=True) if source else {}
        return Evaluation.model_validate(self.evaluation.model_dump() | own)

    def every_model(self) -> list[str]:
        """The base models of Table 5, and those that only some arm has, each once."""
        return list(dict.fromkeys(chain(self.models.names, *self.arm_models())))

    def arm_models(self) -> list[list[str]]:
        """The base models of each arm that has some of its own."""
        arms = [*self.arms.values(), *(arm for study in self.possible.values() for arm in study.arms.values())]
        return [arm.models for arm in arms if arm.models]

    def training_gpus(self, base: str) -> int:
        """GPUs of one training of a base model; more than one cut it into shards (sdft/learning/sharding.py)."""
        source = self.models.sources.get(base)
        return (source and source.gpus) or self.gpus

    @model_validator(mode="after")
    def _evaluations_are_whole(self) -> Scale:
        for name in self.models.sources:
            self.evaluation_of(name)
        return self

    @model_validator(mode="after")
    def _every_task_has_data(self) -> Scale:
        for task in self.tasks:
            if reason := self.data.lacks(task):
                raise ValueError(reason)
        return self

    def lacks(self, study: str) -> str | None:
        """What a study needs and the scale does not have, with the remedy; None where nothing is missing.

        Such a study is not run and shows this reason; the rest of the scale is as good as without it.
        """
        entry = self.studies[study]
        reasons = [self.data.lacks(task) for task in entry.every_task()]
        reasons += [self.models.lacks(model) for arm in entry.arms.values() for model in arm.models or ()]
        return next(filter(None, reasons), None)

    @property
    def possible(self) -> dict[str, Study]:
        """The studies whose data and models the scale has, whether they are switched on or off."""
        return {name: entry for name, entry in self.studies.items() if self.lacks(name) is None}

    @property
    def running(self) -> dict[str, Study]:
        """The studies that are made: possible and switched on."""
        return {name: entry for name, entry in self.possible.items() if entry.enabled}

    @model_validator(mode="after")
    def _arms_fit_together(self) -> Scale:
        known = dict(self.arms)
        for study, entry in self.studies.items():
            for name in entry.share:
                if name not in self.arms:
                    raise ValueError(f"studies.{study} shares the arm {name!r}: {did_you_mean(name, self.arms)}")
            for name, arm in entry.arms.items():
                if name in known:
                    raise ValueError(f"two arms are named {name!r}; names are unique over Table 5 and all studies")
                if entry.orders and arm.like is None:
                    raise ValueError(
                        f"arm {name}: in a study with orders an arm takes the winner on each task, and so needs like"
                    )
                known[name] = arm
        for name, arm in known.items():
            if not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)*", name):
                raise ValueError(
                    f"the arm name {name!r} becomes part of a path: use lower case letters a to z, digits and '_', in "
                    "parts joined by '.'"
                )
            for key in ("like", "parent"):
                other = getattr(arm, key)
                if other is not None and other not in known:
                    raise ValueError(f"arm {name}: {key} names no arm; {did_you_mean(other, known)}")
            self._check_start(name, known)
            if arm.like is not None:
                _check_winner(name, arm, known[arm.like])
        return self

    def _check_start(self, name: str, known: dict[str, Arm]) -> None:
        """Raise ValueError where an arm starts from an arm that is not there, or in the end from itself."""
        chain = [name]
        while (start := known[chain[-1]].starts_from) is not None:
            if start not in known:
                raise ValueError(
                    f"arm {chain[-1]}: {known[chain[-1]].method} starts from the final run of the arm {start!r}, and "
                    f"there is none of that name; add it, or name another arm as parent"
                )
            if start in chain:
                circle = " from ".join([*chain[chain.index(start) :], start])
                raise ValueError(f"arm {name}: {circle} is a circle of starts; give one of them another parent")
            if any(start in study.arms and study.orders for study in self.studies.values()):
                raise ValueError(
                    f"arm {chain[-1]}: its parent {start!r} is an arm of a study with orders, which has several final "
                    "runs of a task; name another arm"
                )
            chain.append(start)

    @model_validator(mode="after")
    def _evidence_is_honest(self) -> Scale:
        if self.evidence == "paper" and (self.data.source != "official" or self.models.source != "hub"):
            raise ValueError(
                "evidence: paper puts numbers beside the paper's, so it needs data.source: official and models.source: "
                f"hub (here: {self.data.source}, {self.models.source}); set evidence: own, or none"
            )
        return self

    def find_arm(self, name: str) -> Arm:
        """The arm of that name, Table 5's or a study's. Raises KeyError."""
        return next((study.arms for study in self.studies.values() if name in study.arms), self.arms)[name]

    def place_of(self, arm: str) -> str:
        """The key of an arm below its scale, for messages."""
        studies = (f"studies.{name}." for name, study in self.studies.items() if arm in study.arms)
        return f"{next(studies, '')}arms.{arm}"

    def every_arm(self) -> Iterator[tuple[str, Arm]]:
        """Table 5's arms and the studies', by name."""
        for arms in (self.arms, *(study.arms for study in self.studies.values())):
            yield from arms.items()


class Tolerance(Strict):
    """Declared before running: when a cell at paper scale counts as reproduced."""

    rounding: Annotated[float, Field(ge=0), NUMBER] = 0.05
    standard_errors: Annotated[float, Field(gt=0), NUMBER] = 2.0
    base_margin: Annotated[float, Field(ge=0), NUMBER] = 1.0


class Budget(Strict):
    """What a start may cost at most; see `python workflow_scripts/budget.py`."""

    device_hours: Annotated[float, Field(gt=0), NUMBER] | None = None
    gpus: Positive = 8
    cores: Positive = 2


def _check_recipe(recipe: Recipe | None, arm: Arm, settings: TrainingSettings) -> None:
    """Raise ValueError for an arm with an EMA teacher to which the published recipe gives no rate."""
    averages = find_method(arm.method).averages and settings.teacher == "ema"
    if averages and recipe is not None and recipe.ema_rate is None:
        raise ValueError(f"{arm.method} has an EMA teacher; give published_recipe.ema_rate, for example 0.01")


class Config(Strict):
    """The whole of config.yaml."""

    scale: ScaleName = "mini"
    seeds: Seeds | None = None
    sweep: Literal["full", "published", "halving"] = "full"
    sweep_seed: NonNegative = 0
    keep_sweep_weights: bool = False
    partial: bool = False
    training: TrainingSettings = TrainingSettings()
    tolerance: Tolerance = Tolerance()
    budget: Budget = Budget()
    scales: dict[ScaleName, Scale]

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if self.scale not in self.scales:
            raise ValueError(
                f"scale is {self.scale!r}, and there is no such scale; {did_you_mean(self.scale, self.scales)}"
            )
        for name in self.scales:
            for seed in self.sweep_seeds_of(name):
                if seed in self.seeds_of(name):
                    continue
                key = "sweep_seed" if self.scales[name].sweep_seeds is None else f"scales.{name}.sweep_seeds:"
                raise ValueError(
                    f"{key} {seed} is not one of the seeds {self.seeds_of(name)} of scale {name}; candidates of SFT + "
                    "re-invoke start from that seed's final SFT run"
                )
        return self

    @model_validator(mode="after")
    def _settings_fit_together(self) -> Config:
        for scale, entry in self.scales.items():
            for name, arm in entry.every_arm():
                try:
                    settings = self.settings_of(scale, name)
                    find_method(arm.method).check(settings)
                    _check_recipe(entry.published_recipe, arm, settings)
                    if any(entry.training_gpus(model) > 1 for model in arm.models or entry.models.names):
                        check_shards(arm.method, settings)
                except ValueError as error:
                    reasons = error.errors() if isinstance(error, ValidationError) else [{"msg": str(error)}]
                    reason = reasons[0]["msg"].removeprefix("Value error, ")
                    raise ValueError(f"scales.{scale}.{entry.place_of(name)}: {reason}") from None
        return self

    def seeds_of(self, scale: str) -> list[int]:
        """The seeds of a scale: those that stand above all scales, or its own."""
        return list(self.scales[scale].seeds if self.seeds is None else self.seeds)

    def sweep_seeds_of(self, scale: str) -> list[int]:
        """The seeds with which a scale's candidates are trained: its own, or the study's one.

        Of a scale's own, those count that are among its seeds, which a start may make fewer; where none is, all do.
        """
        own = self.scales[scale].sweep_seeds
        if own is None:
            return [self.sweep_seed]
        return [seed for seed in own if seed in self.seeds_of(scale)] or list(own)

    def settings_of(self, scale: str, arm: str | None = None) -> TrainingSettings:
        """Training settings of a scale, or of one of its arms: the study's, then the scale's, then the arm's own."""
        merged = self.training.model_dump()
        for layer in (self.scales[scale].training, *([self.scales[scale].find_arm(arm).settings] if arm else [])):
            merged |= {name: getattr(layer, name) for name in layer.model_fields_set}
        return TrainingSettings.model_validate(merged)
