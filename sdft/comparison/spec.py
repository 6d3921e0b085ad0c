"""What a comparison is told."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from sdft.common.schema import NUMBER, Positive, Rate, Seeds, Strict, distinct
from sdft.methods.settings import MethodName


def _listed(value: Any) -> Any:
    """Names and numbers with commas between them, as well as apart."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list):
        return [part for entry in value for part in (entry.split(",") if isinstance(entry, str) else [entry]) if part]
    return value


def _capabilities(asked: list[str]) -> list[str]:
    for entry in asked:
        if not re.fullmatch(r"[^\s:/]+(:[^\s:/]+)?", entry):
            raise ValueError(f"{entry!r} is neither TASK nor TASK:METRIC, such as gsm8k:exact_match")
        if entry in ("auto", "none") and len(asked) > 1:
            raise ValueError(f"{entry} stands alone, and {', '.join(asked)} are asked for; leave it out, or the others")
    tasks = [entry.partition(":")[0] for entry in asked]
    if repeated := next((task for place, task in enumerate(tasks) if task in tasks[:place]), None):
        raise ValueError(f"{', '.join(asked)} names {repeated} twice; a capability is measured once, so name it once")
    return asked


COMMAS = BeforeValidator(_listed)
LearningRate = Annotated[float, Field(gt=0, lt=1), NUMBER]


class CompareSpec(Strict):
    """`python -m sdft compare`."""

    model: Annotated[str, Field(description="folder in Hugging Face format, a run's model.json, or a name on the hub")]
    train: Annotated[
        str,
        Field(description="rows to train on, .jsonl: prompt and completion, or messages (docs/own-data.md)"),
    ]
    test: Annotated[
        str | None, Field(description="rows to score on, .jsonl; default: a fifth of the rows to train on, left out")
    ] = None
    out: Annotated[str, Field(min_length=1, description="folder for everything that is made")]
    methods: Annotated[
        list[MethodName],
        COMMAS,
        Field(min_length=1, description="what is compared, files of sdft/methods/"),
        distinct("a method is compared once, so name it once"),
    ] = ["sft", "sdft"]
    scorer: Annotated[
        str,
        Field(description="exact_match, contains, choice, react, judge, or module:function of a Python function"),
    ] = "exact_match"
    judge: Annotated[
        dict[str, Any] | None,
        Field(description='for the scorer judge, as JSON: {"model": NAME, "base_url_variable": ..., ...}'),
    ] = None
    forgetting: Annotated[
        list[str],
        COMMAS,
        AfterValidator(_capabilities),
        Field(
            min_length=1,
            description="prior capabilities: auto (what can be had offline), none, or tasks of lm_eval, each with a "
            "metric where its file names none (gsm8k:exact_match)",
        ),
    ] = ["auto"]
    items: Annotated[Positive, Field(description="items of each prior capability")] = 60
    prompts: Annotated[
        str | None,
        Field(
            description="general prompts, .jsonl, along which the KL to the base model is measured, and on which "
            "sft_reinvoke and sft_replay train; default: the miniature's own, of its models, else none"
        ),
    ] = None
    learning_rate: Annotated[
        list[LearningRate],
        COMMAS,
        Field(description="one, or several, of which held-out rows choose for each method; default: by the size"),
        distinct("a rate is tried once, so name it once"),
    ] = []
    epochs: Annotated[Positive | None, Field(description="passes over the rows; default: 2, of a toy model 5")] = None
    batch_size: Annotated[Positive, Field(description="rows a step, at most as many as there are")] = 32
    ema_rate: Annotated[Rate, Field(description="of the methods whose teacher is an average")] = 0.02
    lora: Annotated[
        Positive | None, Field(description="rank of LoRA adapters, trained in the place of all weights; needs peft")
    ] = None
    max_new_tokens: Annotated[
        Positive | None, Field(description="longest answer; default: half as long again as the longest completion")
    ] = None
    seeds: Annotated[Seeds, COMMAS, Field(description="each method is trained once with each")] = [0]
    settings: Annotated[
        dict[str, Any], Field(description="keys of `training` in config.yaml, as JSON, that every method gets")
    ] = {}
