"""The forecast of a training's memory against the bytes of the tensors that a step makes and keeps."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import torch

from sdft import fused
from sdft.methods.settings import TrainingSettings
from sdft.models.memory import BLOCK, CHUNK, GIB, memory

NARROW = {"weights_dtype": "bfloat16", "optimizer_dtype": "bfloat16"}


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"compute_dtype": "float32"},
        {"gradient_checkpointing": True},
        NARROW | {"teacher": "student"},
        NARROW | {"ema_dtype": "bfloat16", "gradient_checkpointing": True},
        {"lora_rank": 32},
        {"lora_rank": 32, "weights_dtype": "bfloat16"},
    ],
    ids=str,
)
def test_the_peak_of_a_step_is_forecast_within_a_tenth(monkeypatch, settings):
    if "lora_rank" in settings:
        pytest.importorskip("peft", reason="peft is not installed")
    from benchmarks.memory import two_micro_batches
    from benchmarks.step import SHAPES

    # As on a GPU.
    monkeypatch.setitem(fused.BLOCK_BYTES, "cpu", BLOCK)
    settings, shape, rows = TrainingSettings(**settings), SHAPES["100m"], 16
    taken, size = two_micro_batches(shape, rows, settings)
    tokens = rows * (shape["question"] + shape["new"] - 1)
    assert memory(size, settings, tokens)["total"] == pytest.approx(taken / GIB, rel=0.1)


def test_the_forecast_knows_the_chunks_of_the_losses():
    assert (fused.CHUNK_BYTES, fused.BLOCK_BYTES["cuda"]) == (CHUNK, BLOCK)


def test_without_arithmetic_every_tensor_is_counted_from_its_first_operation_to_its_end():
    from benchmarks.without_arithmetic import LARGE, WithoutArithmetic

    size = 4 * LARGE
    with WithoutArithmetic() as mode:
        one = torch.ones(LARGE)
        two = (one * 3).view(2, -1)
        assert (mode.held, mode.peak) == (2 * size, 2 * size)
        two.add_(1)
        (two.T @ two[:, :8]).sum()
        assert mode.peak > mode.held == 2 * size
        del one
        gc.collect()
        assert mode.held == size
        mode.restart()
        # Small tensors are computed.
        small = torch.ones(3) + 1
        assert size < mode.peak < size + 100
    assert small.tolist() == [2, 2, 2]
