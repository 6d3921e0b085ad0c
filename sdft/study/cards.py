"""Whether a training fits the memory of a GPU, and what else would."""

from __future__ import annotations

import math
from typing import Any

from sdft.common.errors import SdftError
from sdft.methods import find_method
from sdft.methods.settings import TrainingSettings, check_shards
from sdft.models.memory import cache_gib, memory
from sdft.models.size import ModelSize
from sdft.study.plan import RunSpec

# Memory of common cards, as they are sold, in GiB.
CARDS = (24, 40, 48, 80, 141)
# What the driver, the libraries and fragmentation take is not in the arithmetic.
USABLE = 0.95
# What a micro-batch bounded by memory fills: less, since rows are not all padded alike, and the forecast may be wrong.
FILLED = 0.85
# Tokens of the longest sequences that training is planned for, which go through the models one at a time at least.
TOKENS = 4096
# Sequences of a step, before several rollouts a prompt, and tokens of a prompt, where nothing says how many.
ROWS, PROMPT = 32, 1024
# The official code's arithmetic, with rounding that loses no small step on average.
LEAN = {"weights_dtype": "bfloat16", "optimizer_dtype": "bfloat16", "ema_dtype": "bfloat16", "rounding": "stochastic"}


def needed(
    method: str, settings: TrainingSettings, size: ModelSize, gpus: int = 1, tokens: int = TOKENS, rows: int = ROWS
) -> dict[str, float]:
    """GiB that a method's training takes on each of its GPUs, by part, with their "total".

    tokens: of a micro-batch. rows: of a step. The KV cache of a step's rollouts counts where it is larger than the
    gradients and activations, which are not there while it is. Distances from the start are measured a tensor at a
    time, after a step, and need less than either.
    """
    kind = find_method(method)
    teacher = kind(settings, 0).teacher
    found = memory(size, settings.model_copy(update={"teacher": teacher or "student"}), tokens, gpus)
    if kind.anchored:
        # The frozen base model is there besides.
        found["base model"] = found["weights"]
        found["total"] += found["weights"]
    if kind.sampling is not None and settings.rollout_engine != "vllm":
        longest = (settings.max_prompt_tokens or PROMPT) + settings.max_new_tokens
        cache = cache_gib(size, settings, math.ceil(rows * settings.rollouts_per_prompt / gpus), longest)
        found["KV cache"] = max(0.0, cache - found["gradients"] - found["activations"])
        found["total"] += found["KV cache"]
    return found


def tokens_beside(method: str, settings: TrainingSettings, size: ModelSize, card: float, gpus: int = 1) -> int:
    """How many tokens a micro-batch may have, so that the training fills GPUs of `card` GiB."""
    # vLLM sleeps while there are activations.
    alone = settings.model_copy(update={"rollout_engine": "transformers"})
    few, many = (needed(method, alone, size, gpus, tokens, rows=0)["total"] for tokens in (TOKENS, 2 * TOKENS))
    room = FILLED * card - few
    return max(1, TOKENS + int(room / (many - few) * TOKENS))


def fits(gib: float, card: float) -> bool:
    """Whether so many GiB fit a card with `card` GiB."""
    return gib <= USABLE * card


def ways(method: str, settings: TrainingSettings, size: ModelSize, card: float, gpus: int = 1) -> list[str]:
    """What makes a training fit a card that it does not fit as it is: more GPUs, other arithmetic."""
    found = []
    recomputed = settings.model_copy(update={"gradient_checkpointing": True})
    if fits(needed(method, recomputed, size, gpus)["total"], card):
        found.append("gradient_checkpointing: true")
    for more in (2 * gpus, 4 * gpus, 8 * gpus):
        try:
            check_shards(method, settings)
        except ValueError:
            break
        if fits(needed(method, settings, size, more)["total"], card):
            found.append(f"gpus: {more}")
            break
    lean = TrainingSettings.model_validate(settings.model_dump() | LEAN | {"compute_dtype": "bfloat16"})
    # Stochastic rounding draws for whole weights, which one GPU alone has.
    if gpus == 1 and fits(needed(method, lean, size)["total"], card):
        found.append("all bfloat16 (ema_dtype: bfloat16, rounding: stochastic)")
    return found


def verdict(method: str, settings: TrainingSettings, size: ModelSize, card: float, gpus: int = 1) -> str:
    """One phrase on a training and a card: "fits", or what it needs."""
    total = needed(method, settings, size, gpus)["total"]
    if fits(total, card):
        return "fits"
    return f"needs {' or '.join(ways(method, settings, size, card, gpus)) or 'a larger card'}"


def check_cards(run: RunSpec, size: ModelSize | None, cards: list[Any]) -> None:
    """Raise SdftError where a run's forecast memory is more than that of the smallest of its GPUs, with what would fit.

    cards: sdft.models.devices.Gpu, one a process; nothing is checked without one, or for a model of unknown size.
    """
    if not cards or size is None:
        return
    smallest = min(cards, key=lambda card: card.gib)
    rows = run.hyperparameters.batch_size if run.hyperparameters else ROWS
    parts = needed(run.method, run.settings, size, len(cards), rows=rows)
    total = parts.pop("total")
    if fits(total, smallest.gib):
        return
    listed = ", ".join(f"{name} {value:.0f}" for name, value in parts.items() if value >= 0.5)
    remedy = " or ".join(ways(run.method, run.settings, size, smallest.gib, len(cards)))
    raise SdftError(
        f"run {run.id} needs about {total:.1f} GiB on each of {len(cards)} GPU{'s' * (len(cards) > 1)} ({listed}) and "
        f"{smallest.name} has {smallest.gib:.1f}, of which {100 * USABLE:.0f} % can be used. Nothing was loaded. "
        f"{f'It would fit with {remedy}' if remedy else 'Take a larger card'}; SDFT_SLURM_GPU chooses the type of "
        "card (python workflow_scripts/budget.py has a line for each)."
    )
