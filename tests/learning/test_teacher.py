"""The EMA teacher follows its closed form, moves where it should, and shares nothing with the student."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from sdft.teacher import EMATeacher


class Tied(nn.Module):
    """Two names for one weight, and a buffer."""

    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.first = nn.Linear(4, 4, bias=False, dtype=dtype)
        self.second = nn.Linear(4, 4, bias=False, dtype=dtype)
        self.second.weight = self.first.weight
        self.other = nn.Linear(4, 2, dtype=dtype)
        self.register_buffer("count", torch.zeros(1))


@torch.no_grad()
def wander(model, step):
    for parameter in model.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(step)).to(parameter.dtype))
    model.count.fill_(step)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_the_average_has_its_closed_form(dtype, tolerance):
    rate, steps = 0.05, 30
    model = Tied()
    teacher = EMATeacher(model, rate, dtype)
    history = [model.first.weight.detach().double().clone()]
    for step in range(1, steps + 1):
        wander(model, step)
        teacher.update(model)
        history.append(model.first.weight.detach().double().clone())
    # phi_n = (1 - a)^n theta_0 + sum over k of a (1 - a)^(n - k) theta_k
    expected = (1 - rate) ** steps * history[0]
    for step in range(1, steps + 1):
        expected += rate * (1 - rate) ** (steps - step) * history[step]
    torch.testing.assert_close(teacher.average["first.weight"].double(), expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(teacher.model.first.weight.double(), expected, rtol=1e-5, atol=1e-5)
    assert teacher.model.second.weight is teacher.model.first.weight
    assert teacher.model.count == steps


def test_rates_zero_and_one_are_the_frozen_and_the_current_model():
    model = Tied()
    start = copy.deepcopy(model.state_dict())
    frozen, current = EMATeacher(model, 0.0), EMATeacher(model, 1.0)
    wander(model, 1)
    frozen.update(model)
    current.update(model)
    assert torch.equal(frozen.model.other.weight, start["other.weight"])
    assert torch.equal(current.model.other.weight, model.other.weight)
    with pytest.raises(ValueError, match="between 0 and 1"):
        EMATeacher(model, 1.5)


def test_bfloat16_arithmetic_stands_still_where_float32_moves():
    model = Tied(torch.bfloat16)
    nn.init.ones_(model.first.weight)
    ours, official = EMATeacher(model, 0.01), EMATeacher(model, 0.01, torch.bfloat16)
    with torch.no_grad():
        model.first.weight.mul_(1.02)
    for _ in range(100):
        ours.update(model)
        official.update(model)
    travelled = float(model.first.weight.detach()[0, 0]) - 1
    assert float(official.average["first.weight"][0, 0]) == 1
    assert float(ours.average["first.weight"][0, 0]) - 1 == pytest.approx((1 - 0.99**100) * travelled, rel=1e-3)
    assert ours.model.first.weight.dtype == torch.bfloat16
    assert float(ours.model.first.weight[0, 0]) > 1


def test_a_bfloat16_average_that_is_rounded_by_chance_moves_as_it_should_on_average():
    model = nn.Linear(64, 64, bias=False, dtype=torch.bfloat16)
    nn.init.ones_(model.weight)
    teacher = EMATeacher(model, 0.01, torch.bfloat16, stochastic=True)
    with torch.no_grad():
        model.weight.mul_(1.02)
    travelled = float(model.weight.detach()[0, 0]) - 1
    for _ in range(100):
        teacher.update(model)
    assert teacher.average["weight"].dtype == torch.bfloat16
    moved = float(teacher.average["weight"].float().mean()) - 1
    # The standard error of a mean over 4096 weights, each a step of 2^-7 off at most, is far below this.
    assert moved == pytest.approx((1 - 0.99**100) * travelled, rel=0.05)


def test_teacher_and_student_share_no_memory_and_the_teacher_needs_no_gradient():
    model = Tied()
    teacher = EMATeacher(model, 0.5)
    before = teacher.model.other.weight.clone()
    wander(model, 1)
    assert torch.equal(teacher.model.other.weight, before)
    assert not any(parameter.requires_grad for parameter in teacher.model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not teacher.model.training


@pytest.mark.parametrize(
    ("dtype", "stochastic"), [(torch.float32, False), (torch.bfloat16, False), (torch.bfloat16, True)]
)
def test_a_restored_teacher_continues_exactly(dtype, stochastic):
    model = Tied(torch.bfloat16)
    one, other = (EMATeacher(model, 0.1, dtype, stochastic=stochastic) for _ in range(2))
    for step in range(1, 6):
        wander(model, step)
        one.update(model)
        if step == 3:
            other.load_state_dict(copy.deepcopy(one.state_dict()))
        if step > 3:
            other.update(model)
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name])
    assert all(torch.equal(one.average[name], other.average[name]) for name in one.average)


def test_weights_that_stand_still_are_shared_and_change_nothing():
    model = Tied(torch.bfloat16)
    model.requires_grad_(False)
    model.other.requires_grad_(True)
    whole = EMATeacher(model, 0.1)
    few = EMATeacher(model, 0.1, trained=["other.weight", "other.bias"])
    for step in range(1, 4):
        with torch.no_grad():
            model.other.weight.add_(step / 8)
        whole.update(model)
        few.update(model)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, few.model.state_dict()[name])
    assert few.model.first.weight is model.first.weight
    assert few.model.other.weight is not model.other.weight
    assert set(few.state_dict()["average"]) == {"other.weight", "other.bias"}


def test_another_architecture_is_refused():
    with pytest.raises(ValueError, match="same architecture"):
        EMATeacher(Tied(), 0.1).update(nn.Linear(2, 2))
