"""Low-rank adapters (LoRA, Hu et al. 2021) in the place of all weights, through peft.

An adapted layer computes W x + (2 / 1) B A x, with A and B of the chosen rank and B zero at the start; only A and B are
trained. What is saved are whole weights, W + 2 B A, so that a run's folder loads as any other model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sdft.common.errors import SdftError
from sdft.common.seeds import derived_seed

# alpha over rank, a usual choice.
SCALE = 2
NAME = "default"


def add_adapters(model: Any, rank: int, seed: int) -> None:
    """Give every linear layer but the output layer an adapter, and let nothing else be trained.

    The adapters are float32 whatever the weights are. Raises SdftError where peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise SdftError(
            "training.lora_rank needs the library peft, which this project does not require; install it (pip install "
            "peft), or leave lora_rank out and train all weights."
        ) from None
    config = LoraConfig(r=rank, lora_alpha=SCALE * rank, target_modules="all-linear", bias="none")
    devices = [model.device] if model.device.type == "cuda" else []
    model.requires_grad_(False)
    with torch.random.fork_rng(devices):
        torch.manual_seed(derived_seed(seed, "adapters"))
        inject_adapter_in_model(config, model, NAME)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)


@torch.no_grad()
def whole_weights(model: Any) -> dict[str, Tensor]:
    """The weights of a model with adapters as one without them has them, under its names and in its dtype."""
    changes = {
        name: module.get_delta_weight(NAME)
        for name, module in model.named_modules()
        if hasattr(module, "get_delta_weight") and NAME in module.lora_A
    }
    found = {}
    for name, value in model.state_dict().items():
        if "lora_" in name:
            continue
        owner = name.partition(".base_layer.")[0]
        if name.endswith("base_layer.weight"):
            value = (value.float() + changes[owner].float()).to(value.dtype)
        found[name.replace(".base_layer.", ".")] = value
    return found
