"""The study as typed data: what config.yaml may say, checked before anything runs.

`config.yaml` is the manual of every key; this module is its grammar. Unknown keys are refused with the nearest valid
name. `python -m sdft.config --schema` prints the JSON schema that config.schema.json holds.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from sdft.errors import SdftError, did_you_mean, run_main

SkillTask = Literal["science", "tooluse", "medical"]
Task = Literal["science", "tooluse", "medical", "knowledge"]
# Methods that train. The base model, alone or with an article in its context (oracle RAG), is measured without an arm.
Method = Literal[
    "sft",
    "sft_reinvoke",
    "dft",
    "sdft",
    "cpt",
    "offline_distillation",
    "sft_from_teacher",
    "off_policy_fresh",
]
Benchmark = Literal["hellaswag", "humaneval", "ifeval", "mmlu", "truthfulqa", "winogrande"]
Dtype = Literal["float32", "bfloat16"]
ScaleName = Literal["mini", "rehearsal", "paper", "smoke"]
StudyName = Literal[
    "knowledge", "reasoning", "teacher", "sequential", "scaling", "onpolicy", "teachers", "ablations", "foreign"
]

SKILLS: tuple[str, ...] = get_args(SkillTask)
TASKS: tuple[str, ...] = get_args(Task)
METHODS: tuple[str, ...] = get_args(Method)
BENCHMARKS: tuple[str, ...] = get_args(Benchmark)
SCALES: tuple[str, ...] = get_args(ScaleName)
STUDIES: tuple[str, ...] = get_args(StudyName)

# Tasks whose answers no rule can score, and the headline metric of scores that a judge has seen; the offline judge's is
# "accuracy".
JUDGED = ("medical", "knowledge")
JUDGED_METRIC = "judged_accuracy"

# Methods whose teacher may be an average of the student, so that their sweeps have a rate for it.
EMA_METHODS = frozenset({"sdft", "offline_distillation", "off_policy_fresh"})
# Methods that distil along samples which are not the student's own.
OFF_POLICY = frozenset({"offline_distillation", "off_policy_fresh"})
# Methods that train on samples of a teacher, and those that sample at all.
TEACHER_SAMPLES = OFF_POLICY | {"sft_from_teacher"}
SAMPLING = EMA_METHODS | TEACHER_SAMPLES | {"sft_reinvoke"}

# The share of a GPU's memory that vLLM takes (official code: 0.3).
VLLM_MEMORY_SHARE = 0.3

Rate = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
Repository = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]


def _distinct(reason: str) -> AfterValidator:
    """Refuses a list that has a value twice, and says for what reason."""

    def check(values: list[Any]) -> list[Any]:
        repeated = [value for place, value in enumerate(values) if value in values[:place]]
        if repeated:
            raise ValueError(f"{values} repeats {repeated[0]!r}; {reason}")
        return values

    return AfterValidator(check)


Value = TypeVar("Value")
Candidates = Annotated[list[Value], Field(min_length=1), _distinct("a candidate is trained once, so name it once")]
Seeds = Annotated[list[NonNegative], Field(min_length=1), _distinct("equal seeds are not independent runs")]
Tasks = Annotated[list[Value], Field(min_length=1), _distinct("a task counts once, so name it once")]
Names = Annotated[list[str], _distinct("name each once")]


class Strict(BaseModel):
    """A model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainingSettings(Strict):
    """How a run trains, apart from the swept hyper-parameters. Explained key by key in config.yaml."""

    divergence: Literal["forward_kl", "reverse_kl", "jsd"] = "forward_kl"
    jsd_weight: Annotated[float, Field(gt=0, lt=1)] = 0.5
    loss_reduction: Literal["sequence_mean", "token_sum"] = "sequence_mean"
    estimator: Literal["analytic", "token", "rao_blackwell"] = "analytic"
    skip_tokens: NonNegative = 3
    teacher: Literal["ema", "base", "student"] = "ema"
    teacher_template: Literal["official", "paper"] = "official"
    temperature: Annotated[float, Field(gt=0)] = 1.0
    max_new_tokens: Positive = 2048
    max_prompt_tokens: Positive | None = None
    overlong: Literal["error", "truncate_left", "drop"] = "truncate_left"
    rollouts_per_prompt: Positive = 1
    rollout_engine: Literal["transformers", "vllm"] = "transformers"
    importance_clip: Annotated[float, Field(gt=0)] | None = 2.0
    betas: tuple[Rate, Rate] = (0.9, 0.999)
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_steps: NonNegative = 10
    drop_last: bool = True
    weights_dtype: Dtype = "float32"
    optimizer_dtype: Dtype = "float32"
    ema_dtype: Dtype = "float32"
    rounding: Literal["nearest", "stochastic"] = "nearest"
    compute_dtype: Dtype = "bfloat16"
    micro_batch_size: Positive | None = None
    gradient_checkpointing: bool = False
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 20.0
    checkpoint_steps: Positive | None = None
    snapshots: NonNegative = 0

    @model_validator(mode="after")
    def _estimator_is_defined(self) -> TrainingSettings:
        if self.estimator != "analytic" and (self.divergence, self.loss_reduction) != ("reverse_kl", "token_sum"):
            raise ValueError(
                f"estimator {self.estimator} estimates the gradient of the sequence-level reverse KL from the "
                "student's own samples, so it needs divergence: reverse_kl and loss_reduction: token_sum (here: "
                f"{self.divergence}, {self.loss_reduction}); set both, or estimator: analytic"
            )
        return self

    @model_validator(mode="after")
    def _arithmetic_is_possible(self) -> TrainingSettings:
        if self.weights_dtype == "bfloat16" and self.compute_dtype == "float32":
            raise ValueError(
                "weights_dtype: bfloat16 is multiplied in bfloat16, so compute_dtype: float32 would change nothing; "
                "set compute_dtype: bfloat16, or weights_dtype: float32"
            )
        if self.rounding == "stochastic" and "bfloat16" not in (
            self.weights_dtype,
            self.optimizer_dtype,
            self.ema_dtype,
        ):
            raise ValueError(
                "rounding: stochastic is of what is kept in bfloat16, and weights, optimizer and EMA are all float32; "
                "set rounding: nearest, or one of weights_dtype, optimizer_dtype, ema_dtype to bfloat16"
            )
        return self


# These decide the speed of a run, or what is kept of it, and not its result: they are left out of its digest.
SPEED_SETTINGS = frozenset(
    {"micro_batch_size", "gradient_checkpointing", "checkpoint_minutes", "checkpoint_steps", "snapshots"}
)


def check_estimator(method: str, estimator: str) -> None:
    """Raise ValueError for an estimator that a method has no use for: both sampled ones need on-policy samples."""
    if method in OFF_POLICY and estimator != "analytic":
        raise ValueError(
            f"estimator {estimator} weighs the student's own samples, and {method} trains on the teacher's; set "
            "estimator: analytic"
        )


def check_shards(method: str, settings: TrainingSettings) -> None:
    """Raise ValueError for what a run in shards, on several GPUs, cannot do: each needs whole weights in one place."""
    if settings.rounding == "stochastic":
        raise ValueError(
            "rounding: stochastic draws its random numbers for whole weights, which no GPU has in a run on several; "
            "give it settings of its own, {rounding: nearest}, or one GPU"
        )
    if settings.rollout_engine == "vllm" and method in SAMPLING:
        raise ValueError(
            "rollout_engine: vllm takes the whole student, which no GPU has in a run on several; give it settings of "
            "its own, {rollout_engine: transformers}, or one GPU"
        )
    if method in TEACHER_SAMPLES:
        raise ValueError(
            f"{method} samples from its teacher, which a run on several GPUs cannot do yet; train it on one (gpus: 1)"
        )


TrainingOverrides = create_model(
    "TrainingOverrides",
    __base__=Strict,
    __doc__="Training settings that a scale replaces.",
    **{name: (field.annotation | None, None) for name, field in TrainingSettings.model_fields.items()},
)


class Grid(Strict):
    """The candidates of one method: the product of its lists."""

    learning_rate: Candidates[Annotated[float, Field(gt=0, lt=1)]]
    epochs: Candidates[Positive]
    batch_size: Candidates[Positive]
    ema_rate: Candidates[Rate] | None = None


class Recipe(Strict):
    """One candidate for every arm (`sweep: published`); ema_rate is used by the methods that have a teacher."""

    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    epochs: Positive
    batch_size: Positive
    ema_rate: Rate


class Replacement(Strict):
    """Hyper-parameters that an arm replaces in those of the winner it takes over."""

    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    epochs: Positive | None = None
    batch_size: Positive | None = None
    ema_rate: Rate | None = None


class Arm(Strict):
    """One row of a study: a method, its hyper-parameters, and what it fixes apart from them.

    grid: candidates of its own; like: instead, the arm whose winner on the same task it takes, with `replace`. models:
    base models in place of the scale's, seed by seed. parent: the arm whose final run of the same seed it starts from.
    """

    method: Method
    grid: Grid | None = None
    like: str | None = None
    replace: Replacement = Replacement()
    demonstration: str | None = None
    settings: TrainingOverrides = TrainingOverrides()
    models: list[str] | None = Field(default=None, min_length=1)
    parent: str | None = None

    @model_validator(mode="after")
    def _hyperparameters_from_one_place(self) -> Arm:
        if (self.grid is None) == (self.like is None):
            raise ValueError("give either grid (a sweep of its own) or like (an arm whose winner it takes)")
        if self.grid is not None and self.replace.model_fields_set:
            raise ValueError("replace changes the winner of the arm named by like; put the values into grid instead")
        return self

    @model_validator(mode="after")
    def _ema_rate_where_needed(self) -> Arm:
        if self.grid is None:
            return self
        if self.method in EMA_METHODS and self.grid.ema_rate is None:
            raise ValueError(f"{self.method} needs grid.ema_rate, for example [0.01, 0.02, 0.05] (PAPER Table 3)")
        if self.method not in EMA_METHODS and self.grid.ema_rate is not None:
            raise ValueError(f"{self.method} has no EMA teacher; set grid.ema_rate to null")
        return self


class Study(Strict):
    """One result of the paper beside Table 5, with the arms that only it has.

    share: arms of Table 5 whose runs it uses. orders: task sequences (sequential learning). contexts: demonstrations
    that the base model is measured with, and split: of the data on which that and the divergence are measured. limit,
    prior_limit, samples: items and samples of the measures a study takes beside the scores (points along training,
    pass@k, divergence from the base model).
    """

    enabled: bool = True
    tasks: Tasks[Task]
    share: Names = []
    arms: dict[str, Arm] = {}
    seeds: Seeds | None = None
    orders: list[list[SkillTask]] = []
    contexts: Names = []
    split: Literal["test", "validation"] = "test"
    limit: Positive | None = None
    prior_limit: Positive | None = None
    samples: Positive = 1

    def every_task(self) -> list[str]:
        """The tasks of the study and of its sequences, each once."""
        return list(dict.fromkeys((*self.tasks, *(task for order in self.orders for task in order))))


class DataSize(Strict):
    """Rows of one task's splits and, in the miniature world, how many new symbols it has."""

    train: Positive
    validation: Positive
    test: Positive
    symbols: Positive | None = None


class MiniatureData(Strict):
    """The miniature world's data: made, never downloaded."""

    source: Literal["miniature"]
    world_seed: NonNegative = 0
    sizes: dict[Task, DataSize]
    benchmark_items: Positive = 150
    general_prompts: Positive = 384


class Source(Strict):
    """Where one upstream file is found: a local path where the user has it, else a pinned revision of a repository.

    file: the path inside the repository, of a JSON or parquet file or of a folder saved by the datasets library.
    sha256: of the file, or of the folder's data file; null where only the revision pins it.
    """

    path: str | None = None
    github: Repository | None = None
    hub: Repository | None = None
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None
    file: str | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    rows: Positive | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        if self.github and self.hub:
            raise ValueError("give github or hub, not both; a file has one upstream")
        if not (self.github or self.hub):
            if self.path is None:
                raise ValueError("give a local path, or github or hub with revision and file")
        elif self.revision is None or self.file is None:
            raise ValueError("an upstream file needs its revision (40 hex digits, no branch) and file")
        return self


class EndpointConfig(Strict):
    """A model behind an OpenAI-compatible endpoint.

    base_url_variable and api_key_variable name environment variables, so that neither need stand in a file.
    """

    model: str
    base_url: str | None = None
    base_url_variable: str = "OPENAI_BASE_URL"
    api_key_variable: str = "OPENAI_API_KEY"
    attempts: Positive = 6
    parallel: Positive = 8
    max_tokens: Positive = 2000
    cache: str


class Writer(EndpointConfig):
    """Who writes questions and answers about an article."""

    max_tokens: Positive = 16000
    cache: str = "results/writer"


class Article(Strict):
    """One article: a text file, or Wikipedia's at a revision (the number after oldid= in a permanent link).

    sha256: of the text that is made of it, null where only the revision pins it.
    """

    title: str = Field(min_length=1)
    path: str | None = None
    revision: Positive | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


class KnowledgeData(Strict):
    """Articles, and how many questions about each a model writes. Explained key by key in config.yaml."""

    articles: list[Article] = Field(min_length=1)
    writer: Writer | None = None
    train: Positive = 100
    test: Positive = 20
    ood: Positive = 20
    similarity: Annotated[float, Field(gt=0, le=100)] = 90.0
    window_characters: Positive = 12000
    corpus_characters: Positive = 8000
    rounds: Positive = 4

    @field_validator("articles")
    @classmethod
    def _distinct(cls, articles: list[Article]) -> list[Article]:
        if len({article.title for article in articles}) != len(articles):
            raise ValueError("two articles have the same title")
        return articles


class OfficialTask(Strict):
    """The real files of one task, and which of the test file's rows are the test set.

    test_rows: the first so many rows of the test file, null for all; test_versions: other such heads, each kept as
    test_{rows}.jsonl. test_sample: instead, so many rows drawn by the split's seed from those not in train.
    """

    train: Source
    test: Source
    test_rows: Positive | None = None
    test_versions: list[Positive] = []
    test_sample: Positive | None = None
    duplicates: Literal["error", "report", "drop"] = "report"
    conflicts: Literal["error", "report", "drop"] = "error"
    overlap: Literal["error", "report", "drop"] = "error"

    @model_validator(mode="after")
    def _heads_exist(self) -> OfficialTask:
        if self.test_sample and (self.test_rows or self.test_versions):
            raise ValueError("test_sample draws rows, test_rows and test_versions take the first ones; give one kind")
        for rows in (self.test_rows, *self.test_versions):
            if rows and self.test.rows and rows > self.test.rows:
                raise ValueError(f"the test file has {self.test.rows} rows, fewer than the {rows} asked for")
        return self


class GeneralPrompts(Strict):
    """General prompts for SFT + re-invoke: a public instruction set, and how many of its prompts are drawn."""

    source: Source
    prompts: Positive
    max_characters: Positive = 4000


class OfficialData(Strict):
    """The paper's data: the authors' released files and public data sets."""

    source: Literal["official"]
    absent: Literal["download", "invent"] = "download"
    validation_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    split_seed: NonNegative = 0
    limit: Positive | None = None
    tasks: dict[SkillTask, OfficialTask]
    knowledge: KnowledgeData | None = None
    general: GeneralPrompts | None = None


class Evaluation(Strict):
    """How new-task accuracy is measured."""

    max_new_tokens: Positive = 2048
    batch_size: Positive = 16
    limit: Positive | None = None
    max_prompt_tokens: Positive | None = None
    overlong: Literal["error", "truncate_left"] = "truncate_left"
    dtype: Dtype = "bfloat16"


EvaluationOverrides = create_model(
    "EvaluationOverrides",
    __base__=Strict,
    __doc__="How accuracy is measured of one base model and of all that are trained from it, where the scale differs.",
    **{name: (field.annotation | None, None) for name, field in Evaluation.model_fields.items()},
)


class BaseModelSource(Strict):
    """One base model: a public repository at a revision or a local path; or, random, an architecture.

    gpus: GPUs that one training of it needs, where that is not the scale's number. size: its name in Figure 5.
    thinking: of a random model, whether its chat template opens a thinking block; a real one's template says so itself.
    """

    path: str | None = None
    repository: Repository | None = None
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None
    architecture: Literal["qwen2", "olmo3"] | None = None
    gpus: Positive | None = None
    size: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?b$")] | None = None
    evaluation: EvaluationOverrides = EvaluationOverrides()
    thinking: bool = False


class Models(Strict):
    """Base models of a scale. Seed number i of the study starts from `names[i mod len(names)]`.

    sources says where each comes from, for the sources hub and random; tokenizer is a folder, for random.
    """

    source: Literal["released", "trained", "hub", "random"]
    names: list[str] = Field(min_length=1)
    path: str | None = None
    sources: dict[str, BaseModelSource] = {}
    tokenizer: str | None = None
    documents: Positive | None = None

    @model_validator(mode="after")
    def _every_model_has_a_source(self) -> Models:
        if self.source == "released" and self.path is None:
            raise ValueError("released models need path, the folder that holds them and their sha256.json")
        for name in self.names:
            self.check_source(name)
        return self

    def check_source(self, name: str) -> None:
        """Raise ValueError when nothing says where a model comes from; released and trained ones need no source."""
        if self.source not in ("hub", "random"):
            return
        entry = self.sources.get(name)
        if entry is None:
            raise ValueError(f"the model {name!r} is not in sources; {did_you_mean(name, self.sources)}")
        if self.source == "random" and entry.architecture is None:
            raise ValueError(f"sources.{name} needs an architecture: qwen2 or olmo3")
        if self.source == "hub" and not (entry.path or (entry.repository and entry.revision)):
            raise ValueError(f"sources.{name} needs a repository with its revision, or a local path")
        if self.source == "hub" and entry.thinking:
            raise ValueError(f"sources.{name}: thinking is for random models; a real one's chat template says it")

    def revision(self, name: str) -> str | None:
        """What pins a model beside its name: the upstream revision, or the random model's architecture."""
        entry = self.sources.get(name)
        return None if entry is None else entry.revision or entry.architecture


class PriorTask(Strict):
    """One prior-capability benchmark: lm_eval's task name and the metric that Table 5 shows.

    siblings: lm_eval tasks that run beside it, whose metrics are stored under their own names and shown nowhere.
    """

    task: str
    metric: str
    siblings: list[str] = []


class Prior(Strict):
    """The prior-capability protocol (lm_eval)."""

    include_path: str | None = None
    tasks: dict[Benchmark, PriorTask]
    apply_chat_template: bool = False
    num_fewshot: NonNegative | None = None
    batch_size: Positive = 1
    limit: Positive | None = None
    sweep_limit: Positive | None = None
    local_data: bool = False
    generated_code: Literal["sandbox", "bare"] = "sandbox"

    @model_validator(mode="after")
    def _all_six(self) -> Prior:
        missing = [name for name in BENCHMARKS if name not in self.tasks]
        if missing:
            raise ValueError(f"the prior average needs all six benchmarks; missing: {', '.join(missing)}")
        return self


class Judge(EndpointConfig):
    """Who decides whether an answer is right, where no rule can: a model, or the offline judge (null)."""

    second_model: str | None = None
    cache: str = "results/judge"


class Released(BaseModelSource):
    """A model that the authors released after training it: scored as it is, never trained."""

    task: SkillTask
    method: Method = "sdft"


class Scale(Strict):
    """One scale of the same study."""

    seeds: Seeds | None = None
    tasks: Tasks[SkillTask]
    task_epochs: dict[Task, Candidates[Positive]] = {}
    demonstration: str
    models: Models
    data: Annotated[MiniatureData | OfficialData, Field(discriminator="source")]
    training: TrainingOverrides = TrainingOverrides()
    evaluation: Evaluation
    judge: Judge | None = None
    prior: Prior
    released: dict[str, Released] = {}
    arms: dict[str, Arm] = Field(min_length=1)
    studies: dict[StudyName, Study] = {}
    published_recipe: Recipe | None = None
    gpus: NonNegative = 0

    @field_validator("released")
    @classmethod
    def _names_of_folders(cls, released: dict[str, Released]) -> dict[str, Released]:
        for name, entry in released.items():
            if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
                raise ValueError(f"the name {name!r} becomes a folder: use letters, digits, '_', '.' and '-'")
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
        return list(dict.fromkeys((*self.models.names, *(n for _, arm in self.every_arm() for n in arm.models or ()))))

    def training_gpus(self, base: str) -> int:
        """GPUs of one training of a base model; more than one cut it into shards (sdft/sharding.py)."""
        source = self.models.sources.get(base)
        return (source and source.gpus) or self.gpus

    @model_validator(mode="after")
    def _evaluations_are_whole(self) -> Scale:
        for name in self.models.sources:
            self.evaluation_of(name)
        return self

    @model_validator(mode="after")
    def _every_task_has_data(self) -> Scale:
        if isinstance(self.data, MiniatureData):
            place, known = "data.sizes", set(self.data.sizes)
        else:
            place, known = "data.tasks", {*self.data.tasks, *(["knowledge"] if self.data.knowledge else [])}
        # Base models are measured on every skill, whichever are trained on.
        users = dict.fromkeys(SKILLS, "base models are measured on every skill")
        users |= {task: f"studies.{name} has it" for name, study in self.studies.items() for task in study.every_task()}
        for task, why in users.items():
            if task not in known:
                where = "data" if (place, task) == ("data.tasks", "knowledge") else place
                raise ValueError(f"{where} lacks the task {task}, and {why}; add {where}.{task}")
        return self

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
            for model in arm.models or ():
                self.models.check_source(model)
            if not all(character.islower() or character.isdigit() or character in "_." for character in name):
                raise ValueError(f"the arm name {name!r} becomes part of a path: use lower case, digits, '_' and '.'")
            for key in ("like", "parent"):
                other = getattr(arm, key)
                if other is not None and other not in known:
                    raise ValueError(f"arm {name}: {key} names no arm; {did_you_mean(other, known)}")
            if arm.like is not None and known[arm.like].grid is None:
                raise ValueError(f"arm {name}: like names {arm.like!r}, which has no grid; name the arm it is like")
            if arm.method == "sft_reinvoke" and arm.parent is None and "sft" not in known:
                raise ValueError("sft_reinvoke starts from the sft arm's final run; add an arm named sft")
        return self

    def find_arm(self, name: str) -> Arm:
        """The arm of that name, Table 5's or a study's. Raises KeyError."""
        return dict(self.every_arm())[name]

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

    rounding: Annotated[float, Field(ge=0)] = 0.05
    standard_errors: Annotated[float, Field(gt=0)] = 2.0
    base_margin: Annotated[float, Field(ge=0)] = 1.0


class Budget(Strict):
    """What a start may cost at most; see `python workflow_scripts/budget.py`."""

    device_hours: Annotated[float, Field(gt=0)] | None = None
    gpus: Positive = 8
    cores: Positive = 2


class Config(Strict):
    """The whole of config.yaml."""

    scale: ScaleName = "mini"
    seeds: Seeds = [0, 1, 2]
    sweep: Literal["full", "published"] = "full"
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
            raise ValueError(f"scale is {self.scale!r} but scales has no such entry")
        for name in self.scales:
            if self.sweep_seed not in self.seeds_of(name):
                raise ValueError(
                    f"sweep_seed {self.sweep_seed} is not one of the seeds {self.seeds_of(name)} of scale {name}; "
                    "candidates of SFT + re-invoke start from that seed's final SFT run"
                )
        return self

    @model_validator(mode="after")
    def _settings_fit_together(self) -> Config:
        for scale, entry in self.scales.items():
            for name, arm in entry.every_arm():
                try:
                    settings = self.settings_of(scale, name)
                    check_estimator(arm.method, settings.estimator)
                    if any(entry.training_gpus(model) > 1 for model in arm.models or entry.models.names):
                        check_shards(arm.method, settings)
                except ValueError as error:
                    reasons = error.errors() if isinstance(error, ValidationError) else [{"msg": str(error)}]
                    reason = reasons[0]["msg"].removeprefix("Value error, ")
                    raise ValueError(f"scales.{scale}.{entry.place_of(name)}: {reason}") from None
        return self

    def seeds_of(self, scale: str) -> list[int]:
        """The seeds of a scale: its own, or the study's."""
        own = self.scales[scale].seeds
        return list(self.seeds if own is None else own)

    def settings_of(self, scale: str, arm: str) -> TrainingSettings:
        """Training settings of an arm: the study's, then the scale's, then the arm's own."""
        merged = self.training.model_dump()
        for layer in (self.scales[scale].training, self.scales[scale].find_arm(arm).settings):
            merged |= {name: getattr(layer, name) for name in layer.model_fields_set}
        return TrainingSettings.model_validate(merged)


def _keys_at(location: Iterable[str | int]) -> list[str]:
    """Names of the keys that the configuration accepts at a location, for the nearest-name hint."""
    schema = Config.model_json_schema()
    node: dict[str, Any] = schema
    for part in location:
        node = _resolve(node, schema)
        children = node.get("properties", {})
        if isinstance(part, int):
            node = node.get("items", {})
        elif part in children:
            node = children[part]
        elif isinstance(node.get("additionalProperties"), dict):
            node = node["additionalProperties"]
        elif part in node.get("discriminator", {}).get("mapping", {}):
            node = {"$ref": node["discriminator"]["mapping"][part]}
        else:
            return []
    node = _resolve(node, schema)
    names = list(node.get("properties", {}))
    return names or list(_resolve(node.get("propertyNames", {}), schema).get("enum", []))


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    options = node.get("anyOf", [])
    if options:
        node = next((option for option in options if option.get("type") != "null"), node)
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return node


def _explain(error: ValidationError, source: str) -> str:
    """One paragraph for the first few problems of a configuration, each with its key and remedy."""
    sentences = []
    for problem in error.errors()[:3]:
        location = [part for part in problem["loc"] if part not in ("[key]", "miniature", "official")]
        key = ".".join(str(part) for part in location)
        if problem["type"] == "extra_forbidden" or "[key]" in problem["loc"]:
            known = _keys_at(problem["loc"][:-1] if "[key]" not in problem["loc"] else problem["loc"][:-2])
            sentences.append(f"there is no key {key!r}: {did_you_mean(str(location[-1]), known)}")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "too_short":
                message = "it is empty, which leaves nothing to run; give at least one entry"
            # A mapping or a list is too long to show, and its message says what is wrong in it.
            shown = problem["type"] != "missing" and not isinstance(problem["input"], dict | list)
            given = f" (given: {problem['input']!r:.80})" if shown else ""
            # The whole configuration has no key; what is checked in it as a whole names its own.
            sentences.append(f"{key}: {message}{given}." if key else f"{message}{given}.")
    rest = len(error.errors()) - len(sentences)
    more = f" There are {rest} more problems." if rest > 0 else ""
    return f"{source} is not a valid study: " + " ".join(sentences) + more + " config.yaml explains every key."


def parse_config(values: dict[str, Any], source: str = "config.yaml") -> Config:
    """Check a mapping (config.yaml with the command line's --config merged in). Raises SdftError."""
    # Imported here, since it reads this module's types.
    from sdft.checks import check_world

    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise SdftError(_explain(error, source)) from None
    check_world(config)
    return config


def load_config(path: str | Path = "config.yaml") -> Config:
    """Read and check a configuration file. Raises SdftError naming the file and the key."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SdftError(f"{path} does not exist; run from the repository's root or give the path.") from None
    except yaml.YAMLError as error:
        raise SdftError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise SdftError(f"{path} is empty or not a mapping of keys; compare it with the repository's config.yaml.")
    return parse_config(values, str(path))


def json_schema() -> str:
    """The JSON schema of config.yaml, as config.schema.json holds it."""
    return json.dumps(Config.model_json_schema(), indent=1) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sdft.config", description="Check a configuration.")
    parser.add_argument("path", nargs="?", default="config.yaml", help="the configuration to check")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema instead")
    options = parser.parse_args(arguments)
    if options.schema:
        print(json_schema(), end="")
    else:
        # By the package's own names: this module runs as __main__, whose classes the checks do not know.
        from sdft import checks
        from sdft import config as library
        from sdft.plan import Plan

        config = library.load_config(options.path)
        checks.check_files(config)
        checks.check_batches(Plan(config))
        print(f"{options.path} is valid; scale {config.scale}, seeds {config.seeds_of(config.scale)}")


if __name__ == "__main__":
    run_main(main)
