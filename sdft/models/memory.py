"""How much of a GPU's memory a training takes, by arithmetic. Light: no torch, and no settings class."""

from __future__ import annotations

from typing import Any

from sdft.models.size import ModelSize

GIB = 2**30
BYTES = {"float32": 4, "bfloat16": 2}
# Memory of the GPU that the paper's models are planned for (H200), in GiB.
GPU_GIB = 141
# The share of a GPU's memory that vLLM takes while it samples (official code: 0.3, without its sleep): a 7B model's
# weights and room for 32 completions.
VLLM_MEMORY_SHARE = 0.22
# Bytes of logits of a chunk and of one tensor of a block on a GPU (sdft.fused).
CHUNK, BLOCK = 512 << 20, 64 << 20


def adapter_numbers(size: ModelSize, rank: int) -> int:
    """Numbers in LoRA adapters of all linear layers but the output layer; keys and values as wide as the queries."""
    return rank * size.layers * (8 * size.hidden + 3 * (size.hidden + size.intermediate))


def checkpoint_gib(size: ModelSize, settings: Any, averages: bool) -> float:
    """GiB of a checkpoint: the student, Adam's moments, and the average where there is one."""
    number = BYTES[settings.weights_dtype] + 2 * BYTES[settings.optimizer_dtype]
    return size.parameters * (number + averages * BYTES[settings.ema_dtype]) / GIB


def cache_gib(size: ModelSize, settings: Any, rows: int, tokens: int) -> float:
    """GiB of the keys and values of `rows` sequences of so many tokens, prompts included, while they are sampled."""
    number = 2 if "bfloat16" in (settings.weights_dtype, settings.compute_dtype) else 4
    return 2 * size.layers * (size.keys or size.hidden) * number * rows * tokens / GIB


def activation_bytes(size: ModelSize, settings: Any, tokens: int) -> float:
    """What a micro-batch's loss leaves for its backward pass, and what the loss itself takes beside it."""
    weights = BYTES[settings.weights_dtype]
    # Weights in float32 are multiplied in a narrower type by autocast, which keeps narrow copies of them.
    autocast = settings.compute_dtype == "bfloat16" and weights == 4
    compute = 2 if autocast else weights
    # A norm keeps its input and the input over its root mean square, and the products behind it their input: each its
    # own copy under autocast, three of them after the first norm of a layer and two after the second. In bfloat16 the
    # first of these is float32.
    norms = 2 * (4 + 4) + (3 + 2) * 2 if autocast else 2 * (4 + 2 * compute)
    product = compute
    if settings.lora_rank:
        # Norms and products keep nothing for weights that stand still. Each adapter keeps its input, in float32 unless
        # autocast narrows it; seven layers have one, the last of them behind the product. Float32 inputs are shared.
        norms = 2 * 4 + (6 * 2 if autocast else 6 * 4 if weights < 4 else 3 * 4)
        product = compute if weights == 4 else compute + 4
    # Queries, keys and values (as wide as the queries, for masked attention) and attention's output; then the gate, its
    # activation, the other branch and their product.
    layer = tokens * (size.hidden * (norms + 4 * compute) + size.intermediate * (3 * compute + product))
    # Two models' logits of a chunk, five tensors of a block, and the head's gradient in float32 (sdft.fused).
    logits = min(CHUNK, 2 * tokens * size.vocabulary * compute) + 5 * min(BLOCK, tokens * size.vocabulary * 4)
    # The last norm, the teacher's states and the gradient by the student's.
    states = tokens * size.hidden * (4 + 3 * compute + 4)
    if settings.gradient_checkpointing:
        # A layer's input each; one layer is made again, after the loss.
        kept = size.layers * tokens * size.hidden * weights + max(layer, logits)
    else:
        kept = size.layers * layer + logits
    head = 0 if settings.lora_rank else size.vocabulary * size.hidden * 4
    return kept + states + head + (2 * size.parameters if autocast else 0)


def memory(size: ModelSize, settings: Any, tokens: int = 4096, gpus: int = 1) -> dict[str, float]:
    """GiB that training a model of that size takes on each of `gpus` at its peak, by arithmetic.

    That is the end of the loss of a step's second micro-batch: the gradients of the first are there, and everything
    that the second one's backward pass needs. settings: TrainingSettings, or anything with its fields. tokens: of a
    micro-batch, padding included. A vLLM that samples takes its share of the card in the place of gradients and
    activations. The GPUs share everything else. The teacher is a copy in the weights' dtype, and the average beside it
    where that has another dtype. With LoRA (float32 adapters) gradients, moments and average are of the adapters alone,
    and an EMA teacher shares the other weights.
    """
    parameters, weights = size.parameters, BYTES[settings.weights_dtype]
    adapters = adapter_numbers(size, settings.lora_rank) if settings.lora_rank else 0
    # How many numbers are trained, and the bytes of each.
    trained, number = (adapters, 4) if adapters else (parameters, weights)
    teacher = 0
    if settings.teacher == "ema":
        average = BYTES[settings.ema_dtype]
        teacher = trained * (number + (average if average != number else 0))
    elif settings.teacher != "student":
        teacher = parameters * weights
    found = {
        "weights": parameters * weights + 4 * adapters,
        "gradients": trained * number,
        "optimizer": 2 * trained * BYTES[settings.optimizer_dtype],
        "teacher": teacher,
        "activations": activation_bytes(size, settings, tokens),
    }
    found = {name: value / GIB / (1 if name == "activations" else gpus) for name, value in found.items()}
    if settings.rollout_engine == "vllm":
        # It sleeps while there are gradients and activations.
        found["vLLM"] = max(0.0, VLLM_MEMORY_SHARE * GPU_GIB - found["gradients"] - found["activations"])
    return found | {"total": sum(found.values())}
