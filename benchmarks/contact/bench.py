"""What the checks share: a device, models of random weights, prompts, and clocks that wait for the device."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

GIB = 2**30
# Qwen2.5-7B, as in its config.json.
SHAPE = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152_064,
    "max_position_embeddings": 32_768,
}
TINY = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
    "max_position_embeddings": 4096,
}
# What decides memory and arithmetic of a run of Table 5 (TrainingSettings with config/paper.yaml's `training`).
PAPER = {
    "weights_dtype": "bfloat16",
    "optimizer_dtype": "bfloat16",
    "ema_dtype": "float32",
    "rounding": "nearest",
    "betas": (0.9, 0.999),
    "epsilon": 1e-8,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "teacher": "ema",
    "rollout_engine": "transformers",
    "compute_dtype": "bfloat16",
    "gradient_checkpointing": True,
    "lora_rank": None,
}
PAD, STOP = 0, [1]


class Bench:
    """tiny: a small shape and short sequences, for a CPU. folder: for files, emptied by the caller."""

    def __init__(self, tiny: bool, folder: Path) -> None:
        self.tiny, self.folder = tiny, folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.gpu = self.device.type == "cuda"
        self.shape = TINY if tiny else SHAPE
        self.settings = SimpleNamespace(**PAPER)

    @property
    def memory(self) -> int | None:
        """Bytes of the card."""
        return torch.cuda.get_device_properties(0).total_memory if self.gpu else None

    @property
    def layers(self) -> int:
        """Layers of the model that is trained: all of them, or as many as a smaller card holds with every state."""
        wanted = self.shape["num_hidden_layers"]
        fits = [layers for layers in range(1, wanted + 1) if self.forecast(layers) * GIB < 0.9 * (self.memory or 2**62)]
        return max(fits, default=1)

    def parameters(self, layers: int | None = None) -> int:
        shape = self.shape
        width, inner = shape["hidden_size"], shape["intermediate_size"]
        shared = shape["num_key_value_heads"] / shape["num_attention_heads"]
        layer = 2 * width * width * (1 + shared) + 3 * width * inner + width * (1 + 2 * shared) + 2 * width
        return round(2 * shape["vocab_size"] * width + width + (self.layers if layers is None else layers) * layer)

    def forecast(self, layers: int, tokens: int = 4096) -> float:
        """GiB of training, as `budget.py` forecasts them."""
        from sdft.models.memory import memory
        from sdft.models.size import ModelSize

        shape = self.shape
        size = ModelSize(
            self.parameters(layers), layers, shape["hidden_size"], shape["intermediate_size"], shape["vocab_size"]
        )
        return memory(size, self.settings, tokens)["total"]

    def model(self, dtype: torch.dtype = torch.bfloat16, seed: int = 0, **changes: Any) -> Any:
        """A Qwen2 of random weights (standard deviation 0.02), made on the device, in evaluation mode."""
        from transformers import Qwen2Config, Qwen2ForCausalLM

        torch.manual_seed(seed)
        config = Qwen2Config(
            **self.shape | {"num_hidden_layers": self.layers} | changes,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=STOP[0],
            pad_token_id=PAD,
        )
        config._attn_implementation = "sdpa"
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            with self.device:
                return Qwen2ForCausalLM(config).eval()
        finally:
            torch.set_default_dtype(before)

    @cached_property
    def large(self) -> Any:
        """The model of the whole shape, in bfloat16."""
        return self.model()

    def small(self, dtype: torch.dtype, seed: int = 0) -> Any:
        """Two narrow layers, which a CPU computes in float64 too."""
        narrow = {"hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 4, "num_key_value_heads": 2}
        return self.model(dtype, seed, **narrow, num_hidden_layers=2, vocab_size=min(8192, self.shape["vocab_size"]))

    def free(self) -> None:
        """Let go of the large model and of what the allocator keeps."""
        self.__dict__.pop("large", None)
        gc.collect()
        if self.gpu:
            torch.cuda.empty_cache()

    def prompts(self, rows: int, longest: int, words: int | None = None) -> list[list[int]]:
        """Random tokens; the shortest prompt has three quarters of the longest, so that rows are padded on the left."""
        random = torch.Generator().manual_seed(rows)
        lengths = [longest - (longest // 4) * row // max(1, rows - 1) for row in range(rows)]
        return [
            torch.randint(2, words or self.shape["vocab_size"], (length,), generator=random).tolist()
            for length in lengths
        ]

    def engine(self) -> Any:
        from sdft.learning.engines import GenerateEngine

        return GenerateEngine(PAD, STOP)

    def wait(self) -> None:
        if self.gpu:
            torch.cuda.synchronize()

    def seconds(self, run: Callable[[], Any], times: int = 1) -> float:
        """Mean of so many runs, between synchronisations."""
        self.wait()
        start = time.perf_counter()
        for _ in range(times):
            run()
        self.wait()
        return (time.perf_counter() - start) / times


class Phases:
    """Seconds, and peak GiB on the device, of the named phases of something; each phase waits for the device."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.seconds: dict[str, float] = {}
        self.peaks: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        if self.bench.gpu:
            torch.cuda.reset_peak_memory_stats()
        self.bench.wait()
        start = time.perf_counter()
        yield
        self.bench.wait()
        self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - start
        if self.bench.gpu:
            self.peaks[name] = max(self.peaks.get(name, 0), torch.cuda.max_memory_allocated() / GIB)


def error(found: Tensor, expected: Tensor) -> float:
    """Distance of two tensors relative to the second, in float64 on the CPU."""
    found, expected = (tensor.detach().double().cpu() for tensor in (found, expected))
    return float((found - expected).norm() / expected.norm().clamp(min=1e-300))
