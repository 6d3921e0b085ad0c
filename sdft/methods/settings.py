"""How a run trains, apart from the swept hyper-parameters. Explained key by key in config.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from sdft.common.errors import did_you_mean
from sdft.common.schema import NUMBER, Dtype, NonNegative, Positive, Strict, overrides
from sdft.methods import find_method, method_names


def _known(name: str) -> str:
    if name not in method_names():
        raise ValueError(f"the method {name!r} cannot be trained; {did_you_mean(name, method_names())}")
    return name


# A method that trains. The base model, alone or with an article in its context, is measured without an arm.
MethodName = Annotated[str, AfterValidator(_known), WithJsonSchema({"enum": list(method_names()), "type": "string"})]

Beta = Annotated[float, Field(ge=0, lt=1), NUMBER]


class TrainingSettings(Strict):
    """How a run trains, apart from the swept hyper-parameters. Explained key by key in config.yaml.

    A default never changes: names and fingerprints of runs hold the differences from it. Another value belongs into the
    configuration, and a new key has a default that does what was done without it.
    """

    divergence: Literal["forward_kl", "reverse_kl", "jsd"] = "forward_kl"
    jsd_weight: Annotated[float, Field(gt=0, lt=1), NUMBER] = 0.5
    loss_reduction: Literal["sequence_mean", "token_sum"] = "sequence_mean"
    estimator: Literal["analytic", "token", "rao_blackwell"] = "analytic"
    skip_tokens: NonNegative = 3
    teacher: Literal["ema", "base", "student"] = "ema"
    teacher_template: Literal["official", "paper"] = "official"
    # Below this, logits leave the range of float32.
    temperature: Annotated[float, Field(ge=1e-3), NUMBER] = 1.0
    max_new_tokens: Positive = 2048
    max_prompt_tokens: Positive | None = None
    overlong: Literal["error", "truncate_left", "drop"] = "truncate_left"
    rollouts_per_prompt: Positive = 1
    rollout_engine: Literal["transformers", "vllm"] = "transformers"
    importance_clip: Annotated[float, Field(gt=0), NUMBER] | None = 2.0
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    epsilon: Annotated[float, Field(gt=0), NUMBER] = 1e-8
    weight_decay: Annotated[float, Field(ge=0), NUMBER] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0), NUMBER] = 1.0
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_steps: NonNegative = 10
    warmup_share: Annotated[float, Field(ge=0, lt=1), NUMBER] | None = None
    drop_last: bool = True
    weights_dtype: Dtype = "float32"
    optimizer_dtype: Dtype = "float32"
    ema_dtype: Dtype = "float32"
    rounding: Literal["nearest", "stochastic"] = "nearest"
    lora_rank: Positive | None = None
    compute_dtype: Dtype = "bfloat16"
    micro_batch_size: Positive | None = None
    micro_batch_tokens: Positive | Literal["auto"] | None = None
    gradient_checkpointing: bool = False
    checkpoint_minutes: Annotated[float, Field(gt=0), NUMBER] = 20.0
    checkpoint_steps: Positive | None = None
    snapshots: Annotated[int, Field(ge=0, le=1000), NUMBER] = 0
    probe_rows: NonNegative = 0
    tracker: Literal["none", "tensorboard", "wandb", "mlflow", "trackio"] = "none"

    def warmup(self, steps: int) -> int:
        """Steps of linear warm-up in a run of `steps`: a share of them where one is set (official code: 0.1)."""
        return self.warmup_steps if self.warmup_share is None else round(self.warmup_share * steps)

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
    def _some_token_is_learned(self) -> TrainingSettings:
        if self.skip_tokens >= self.max_new_tokens:
            raise ValueError(
                f"skip_tokens: {self.skip_tokens} leaves no token of a completion of at most {self.max_new_tokens} "
                "(max_new_tokens) to learn from; make it smaller"
            )
        return self

    @model_validator(mode="after")
    def _adapters_are_possible(self) -> TrainingSettings:
        if self.lora_rank and self.rollout_engine == "vllm":
            raise ValueError(
                "rollout_engine: vllm is handed whole weights at every step, and lora_rank trains adapters beside "
                "them; set rollout_engine: transformers, or leave lora_rank out"
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
    {
        "micro_batch_size",
        "micro_batch_tokens",
        "gradient_checkpointing",
        "checkpoint_minutes",
        "checkpoint_steps",
        "snapshots",
        "probe_rows",
        "tracker",
    }
)


def check_shards(method: str, settings: TrainingSettings) -> None:
    """Raise ValueError for what a run in shards, on several GPUs, cannot do: each needs whole weights in one place."""
    if settings.rounding == "stochastic":
        raise ValueError(
            "rounding: stochastic draws its random numbers for whole weights, which no GPU has in a run on several; "
            "give it settings of its own, {rounding: nearest}, or one GPU"
        )
    if settings.rollout_engine == "vllm" and find_method(method).sampling is not None:
        raise ValueError(
            "rollout_engine: vllm takes the whole student, which no GPU has in a run on several; give it settings of "
            "its own, {rollout_engine: transformers}, or one GPU"
        )
    if settings.lora_rank:
        raise ValueError("lora_rank is for one GPU: adapters are not shared out yet; leave it out, or train on one")
    if find_method(method).sampling in ("once", "teacher"):
        raise ValueError(
            f"{method} samples from its teacher, which a run on several GPUs cannot do yet; train it on one (gpus: 1)"
        )


TrainingOverrides = overrides(
    "TrainingOverrides", TrainingSettings, "Training settings that a scale or an arm replaces."
)
