"""What a measuring step is told has bounds, and is refused before a model is looked for."""

from __future__ import annotations

import pytest

from sdft.common.command import validated
from sdft.common.errors import SdftError
from sdft.study.specs import DivergenceSpec, EvaluateSpec, PassKSpec, TrajectorySpec

ONE = {"model": "m", "task": "science", "data": "d.jsonl", "out": "o"}
NEEDED = {
    EvaluateSpec: {"model": "m", "out": "o"},
    PassKSpec: ONE,
    DivergenceSpec: ONE | {"base": "b"},
    TrajectorySpec: ONE | {"task": ["science"]},
}
NEEDED[TrajectorySpec].pop("data")
NUMBERS = {
    "temperature": ([0, 0.001, "0.7", 1], [-1, 1e-4, 1e-320, "nan", "inf", True]),
    "top_p": ([1, "0.5", 1e-9], [0, 1.1, -0.5, "nan", True]),
    "seed": ([0, "7", 2**63 - 1], [-1, 2**63, 1.5, True]),
    "wait": ([0, "1.5"], [-1, "inf", True]),
}
TEXTS = {
    "split": (["test", "validation_2"], ["", "../test", "a/b", "/tmp/x", ".."]),
    "device": (["auto", "cpu"], ["", "foo", "mps", "CPU", "cpu:1", "cuda:", "cuda:x", "cuda:-1", "cuda:99", "cuda 1"]),
}


BOUNDED = [(kind, key) for kind in NEEDED for key in (*NUMBERS, *TEXTS) if key in kind.model_fields]


@pytest.mark.parametrize(("kind", "key"), BOUNDED)
def test_values_outside_the_bounds_are_refused_by_their_key(kind, key):
    right, wrong = (NUMBERS | TEXTS)[key]
    for value in right:
        validated(kind, NEEDED[kind] | {key: value}, "a step")
    for value in wrong:
        with pytest.raises(SdftError, match=f"a step is not right: {key}: "):
            validated(kind, NEEDED[kind] | {key: value}, "a step")


@pytest.mark.parametrize(("device", "there"), [("cuda", True), ("cuda:1", True), ("cuda:2", False)])
def test_a_gpu_is_named_by_a_number_below_their_count(monkeypatch, device, there):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    values = NEEDED[EvaluateSpec] | {"device": device}
    if there:
        assert validated(EvaluateSpec, values, "a step").device == device
    else:
        with pytest.raises(SdftError, match="torch can use 2 GPUs here"):
            validated(EvaluateSpec, values, "a step")
