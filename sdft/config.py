"""The study as typed data: what config.yaml may say, checked before anything runs.

`config.yaml` is the manual of every key; this module is its grammar. Unknown keys are refused with the nearest valid
name. `python -m sdft.config --schema` prints the JSON schema that config.schema.json holds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator, model_validator

from sdft.errors import SdftError, did_you_mean, run_main

SkillTask = Literal["science", "tooluse", "medical"]
Task = Literal["science", "tooluse", "medical", "knowledge"]
Method = Literal[
    "base", "sft", "sft_reinvoke", "dft", "sdft", "cpt", "oracle_rag", "offline_distillation", "sft_from_teacher"
]
Benchmark = Literal["hellaswag", "humaneval", "ifeval", "mmlu", "truthfulqa", "winogrande"]
Dtype = Literal["float32", "bfloat16"]
ScaleName = Literal["mini", "rehearsal", "paper", "smoke"]

TASKS: tuple[str, ...] = get_args(Task)
METHODS: tuple[str, ...] = get_args(Method)
BENCHMARKS: tuple[str, ...] = get_args(Benchmark)
SCALES: tuple[str, ...] = get_args(ScaleName)

Rate = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]


class Strict(BaseModel):
    """A model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainingSettings(Strict):
    """How a run trains, apart from the swept hyper-parameters. Explained key by key in config.yaml."""

    divergence: Literal["forward_kl", "reverse_kl", "jsd"] = "forward_kl"
    jsd_weight: Annotated[float, Field(gt=0, lt=1)] = 0.5
    loss_reduction: Literal["sequence_mean", "token_sum"] = "sequence_mean"
    skip_tokens: NonNegative = 3
    teacher: Literal["ema", "base", "student"] = "ema"
    temperature: Annotated[float, Field(gt=0)] = 1.0
    max_new_tokens: Positive = 2048
    max_prompt_tokens: Positive | None = None
    overlong: Literal["error", "truncate_left", "drop"] = "error"
    rollouts_per_prompt: Positive = 1
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
    compute_dtype: Dtype = "bfloat16"
    micro_batch_size: Positive | None = None
    gradient_checkpointing: bool = False
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 20.0
    checkpoint_steps: Positive | None = None


# These decide the speed of a run and not its result, so they are left out of its digest.
SPEED_SETTINGS = frozenset({"micro_batch_size", "gradient_checkpointing", "checkpoint_minutes", "checkpoint_steps"})

TrainingOverrides = create_model(
    "TrainingOverrides",
    __base__=Strict,
    __doc__="Training settings that a scale replaces.",
    **{name: (field.annotation | None, None) for name, field in TrainingSettings.model_fields.items()},
)


class Grid(Strict):
    """The candidates of one method: the product of its lists."""

    learning_rate: list[Annotated[float, Field(gt=0, lt=1)]] = Field(min_length=1)
    epochs: list[Positive] = Field(min_length=1)
    batch_size: list[Positive] = Field(min_length=1)
    ema_rate: list[Rate] | None = None

    @field_validator("*")
    @classmethod
    def _no_repeats(cls, values: list[float] | None) -> list[float] | None:
        if values is not None and len(set(values)) != len(values):
            raise ValueError(f"the same value twice in {values}; a candidate is trained once")
        if values is not None and not values:
            raise ValueError("an empty grid trains nothing; give at least one value, or null where it does not apply")
        return values


class Arm(Strict):
    """One row of a study: a method, its grid, and what it fixes apart from the sweep."""

    method: Method
    grid: Grid
    demonstration: str | None = None
    settings: TrainingOverrides = TrainingOverrides()

    @model_validator(mode="after")
    def _ema_rate_where_needed(self) -> Arm:
        if self.method == "sdft" and self.grid.ema_rate is None:
            raise ValueError("sdft needs grid.ema_rate, for example [0.01, 0.02, 0.05] (PAPER Table 3)")
        if self.method != "sdft" and self.grid.ema_rate is not None:
            raise ValueError(f"{self.method} has no EMA teacher; set grid.ema_rate to null")
        return self


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


class OfficialFile(Strict):
    """One upstream file: a local path where the user has it, and the sha256 that it must have."""

    path: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    rows: Positive | None = None


class OfficialTask(Strict):
    """The real files of one task."""

    train: OfficialFile
    test: OfficialFile


class OfficialData(Strict):
    """The paper's data: the authors' released files and public data sets."""

    source: Literal["official"]
    validation_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    split_seed: NonNegative = 0
    limit: Positive | None = None
    tasks: dict[Task, OfficialTask]


class Models(Strict):
    """Base models of a scale. Seed number i of the study starts from `names[i mod len(names)]`."""

    source: Literal["released", "trained", "hub", "random"]
    names: list[str] = Field(min_length=1)
    path: str | None = None
    revisions: dict[str, str] = {}
    documents: Positive | None = None


class PriorTask(Strict):
    """One prior-capability benchmark: lm_eval's task name and the metric that Table 5 shows."""

    task: str
    metric: str


class Prior(Strict):
    """The prior-capability protocol (lm_eval)."""

    include_path: str | None = None
    tasks: dict[Benchmark, PriorTask]
    apply_chat_template: bool = False
    num_fewshot: NonNegative | None = None
    batch_size: Positive = 1
    limit: Positive | None = None
    sweep_limit: Positive | None = None

    @model_validator(mode="after")
    def _all_six(self) -> Prior:
        missing = [name for name in BENCHMARKS if name not in self.tasks]
        if missing:
            raise ValueError(f"the prior average needs all six benchmarks; missing: {', '.join(missing)}")
        return self


class Evaluation(Strict):
    """How new-task accuracy is measured."""

    max_new_tokens: Positive = 2048
    batch_size: Positive = 16
    limit: Positive | None = None
    dtype: Dtype = "bfloat16"


class Scale(Strict):
    """One scale of the same study."""

    seeds: list[NonNegative] | None = Field(default=None, min_length=1)
    tasks: list[SkillTask] = Field(min_length=1)
    demonstration: str
    models: Models
    data: Annotated[MiniatureData | OfficialData, Field(discriminator="source")]
    training: TrainingOverrides = TrainingOverrides()
    evaluation: Evaluation
    prior: Prior
    arms: dict[str, Arm]
    published_recipe: dict[Literal["learning_rate", "epochs", "batch_size", "ema_rate"], float] = {}
    gpus: NonNegative = 0

    @field_validator("arms")
    @classmethod
    def _sft_before_reinvoke(cls, arms: dict[str, Arm]) -> dict[str, Arm]:
        for name in arms:
            if not all(character.islower() or character.isdigit() or character in "_." for character in name):
                raise ValueError(f"the arm name {name!r} becomes part of a path: use lower case, digits, '_' and '.'")
        if any(arm.method == "sft_reinvoke" for arm in arms.values()) and "sft" not in arms:
            raise ValueError("sft_reinvoke starts from the sft arm's final run; add an arm named sft")
        return arms


class Tolerance(Strict):
    """Declared before running: when a cell at paper scale counts as reproduced."""

    rounding: Annotated[float, Field(ge=0)] = 0.05
    standard_errors: Annotated[float, Field(gt=0)] = 2.0
    base_margin: Annotated[float, Field(ge=0)] = 1.0


class Config(Strict):
    """The whole of config.yaml."""

    scale: ScaleName = "mini"
    seeds: list[NonNegative] = Field(default=[0, 1, 2], min_length=1)
    sweep: Literal["full", "published"] = "full"
    sweep_seed: NonNegative = 0
    keep_sweep_weights: bool = False
    training: TrainingSettings = TrainingSettings()
    tolerance: Tolerance = Tolerance()
    scales: dict[ScaleName, Scale]

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"seeds {seeds} repeat a seed; equal seeds are not independent runs")
        return seeds

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

    def seeds_of(self, scale: str) -> list[int]:
        """The seeds of a scale: its own, or the study's."""
        own = self.scales[scale].seeds
        return list(self.seeds if own is None else own)

    def settings_of(self, scale: str, arm: str) -> TrainingSettings:
        """Training settings of an arm: the study's, then the scale's, then the arm's own."""
        merged = self.training.model_dump()
        for layer in (self.scales[scale].training, self.scales[scale].arms[arm].settings):
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
        key = ".".join(str(part) for part in location) or "the top level"
        if problem["type"] == "extra_forbidden" or "[key]" in problem["loc"]:
            known = _keys_at(problem["loc"][:-1] if "[key]" not in problem["loc"] else problem["loc"][:-2])
            sentences.append(f"there is no key {key!r}: {did_you_mean(str(location[-1]), known)}")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            given = "" if problem["type"] == "missing" else f" (given: {problem['input']!r:.80})"
            sentences.append(f"{key}: {message}{given}.")
    rest = len(error.errors()) - len(sentences)
    more = f" There are {rest} more problems." if rest > 0 else ""
    return f"{source} is not a valid study: " + " ".join(sentences) + more + " config.yaml explains every key."


def parse_config(values: dict[str, Any], source: str = "config.yaml") -> Config:
    """Check a mapping (config.yaml with the command line's --config merged in). Raises SdftError."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise SdftError(_explain(error, source)) from None


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
        config = load_config(options.path)
        print(f"{options.path} is valid; scale {config.scale}, seeds {config.seeds_of(config.scale)}")


if __name__ == "__main__":
    run_main(main)
