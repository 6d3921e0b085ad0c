"""How large a model is, read from the files of its folder. Nothing is loaded and no torch is needed."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ModelSize:
    """Parameters, layers, hidden and intermediate size, vocabulary, and the width of a layer's keys.

    keys: heads of keys times their size, as wide as the values; 0 where it is that of the hidden states.
    """

    parameters: float
    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    keys: int = 0


def read_size(folder: str | Path) -> ModelSize | None:
    """The size of the model in a folder in Hugging Face format; None where its files do not say it.

    The parameters are counted in the headers of the .safetensors files, the rest stands in config.json.
    """
    folder = Path(folder)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        parameters = sum(map(_parameters, folder.glob("*.safetensors")))
        keys = ("num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size")
        return ModelSize(parameters, *(int(config[key]) for key in keys), _keys(config)) if parameters else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keys(config: dict[str, Any]) -> int:
    """The width of a layer's keys, by a config.json; 0 where it says nothing of heads."""
    heads = config.get("num_attention_heads")
    shared = config.get("num_key_value_heads", heads)
    return int(shared * (config.get("head_dim") or config["hidden_size"] // heads)) if heads and shared else 0


def _parameters(file: Path) -> int:
    """Numbers in a .safetensors file: eight bytes with the length of a JSON header, which has the tensors' shapes."""
    with file.open("rb") as handle:
        header = json.loads(handle.read(int.from_bytes(handle.read(8), "little")))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
