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


def checkpoint_gib(size: ModelSize, settings: Any, averages: bool) -> float:
    """GiB of a checkpoint: the student, Adam's moments, and the average where there is one."""
    number = BYTES[settings.weights_dtype] + 2 * BYTES[settings.optimizer_dtype]
    return size.parameters * (number + averages * BYTES[settings.ema_dtype]) / GIB


def memory(size: ModelSize, settings: Any, tokens: int = 4096, gpus: int = 1) -> dict[str, float]:
    """GiB that training a model of that size takes on each of `gpus`, by arithmetic, a sequence at a time.

    settings: TrainingSettings, or anything with its fields. tokens: of that sequence. Activations are those of gradient
    checkpointing: a layer's input each, and one layer in full; a vLLM that samples takes its share of the card in the
    place of gradients and activations. The GPUs share everything else. The teacher is a copy in the weights' dtype, and
    the average beside it where that has another dtype.
    """
    parameters, weights = size.parameters, BYTES[settings.weights_dtype]
    teacher = 0
    if settings.teacher != "student":
        teacher = weights
        if settings.teacher == "ema" and settings.ema_dtype != settings.weights_dtype:
            teacher += BYTES[settings.ema_dtype]
    layer = tokens * (8 * size.hidden + 3 * size.intermediate) * 2
    # Two models' logits of a chunk, five tensors of a block, and the head's gradient in float32 (sdft.fused).
    logits = (512 + 5 * 64) * 2**20 + size.vocabulary * size.hidden * 4
    found = {
        "weights": parameters * weights,
        "gradients": parameters * weights,
        "optimizer": 2 * parameters * BYTES[settings.optimizer_dtype],
        "teacher": parameters * teacher,
        "activations": size.layers * tokens * size.hidden * 2 + layer + logits,
    }
    found = {name: value / GIB / (1 if name == "activations" else gpus) for name, value in found.items()}
    if settings.rollout_engine == "vllm":
        # It sleeps while there are gradients and activations.
        found["vLLM"] = max(0.0, VLLM_MEMORY_SHARE * GPU_GIB - found["gradients"] - found["activations"])
    return found | {"total": sum(found.values())}
