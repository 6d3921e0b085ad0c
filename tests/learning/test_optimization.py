"""Data order, schedule and optimizer are the ones that the libraries define, and functions of the seed."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch

from sdft.common.seeds import derived_seed
from sdft.learning.optimization import batches, clip_gradients, learning_rate, make_optimizer


def test_each_epoch_is_another_permutation_without_its_incomplete_batch():
    steps = batches(10, 4, 3, seed=0)
    assert len(steps) == 3 * (10 // 4)
    for epoch in range(3):
        rows = [row for step in steps[2 * epoch : 2 * epoch + 2] for row in step]
        assert len(set(rows)) == 8
    assert steps[:2] != steps[2:4]
    assert steps == batches(10, 4, 3, seed=0) != batches(10, 4, 3, seed=1)
    everything = batches(10, 4, 1, seed=0, drop_last=False)
    assert sorted(row for step in everything for row in step) == list(range(10))


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
@pytest.mark.parametrize("warmup", [0, 3])
def test_the_schedule_is_that_of_transformers(schedule, warmup):
    from transformers import get_scheduler

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    name = "constant_with_warmup" if schedule == "constant" else schedule
    scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=12)
    for step in range(12):
        assert learning_rate(step, 12, 0.5, schedule, warmup) == pytest.approx(scheduler.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        scheduler.step()


def settings(dtype, rounding="nearest"):
    return SimpleNamespace(betas=(0.9, 0.95), epsilon=1e-8, weight_decay=0.1, optimizer_dtype=dtype, rounding=rounding)


def descend(optimizer, weight, steps, first=0):
    for step in range(first, first + steps):
        weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(step)).to(weight.dtype)
        optimizer.param_groups[0]["lr"] = 0.01
        optimizer.step()


def with_gradients(dtype):
    draw = torch.Generator().manual_seed(0)
    found = [torch.zeros(size, dtype=dtype) for size in (3, 500, 70_000)]
    for parameter in found:
        parameter.grad = torch.randn(parameter.shape, generator=draw).to(dtype)
    # A frozen one has none.
    return [*found, torch.zeros(4, dtype=dtype)]


@pytest.mark.parametrize("most", [1.0, 1000.0])
def test_gradients_are_clipped_as_torch_does(most):
    ours, theirs = with_gradients(torch.float32), with_gradients(torch.float32)
    assert clip_gradients(iter(ours), most) == float(torch.nn.utils.clip_grad_norm_(theirs, most))
    assert all(torch.equal(one.grad, other.grad) for one, other in zip(ours[:3], theirs, strict=False))


def test_the_norm_of_bfloat16_gradients_has_more_than_their_8_bits():
    parameters = with_gradients(torch.bfloat16)
    exact = torch.cat([parameter.grad for parameter in parameters[:3]]).double().norm().item()
    assert clip_gradients(parameters, 1.0) == pytest.approx(exact, rel=1e-5)
    theirs = float(torch.nn.utils.clip_grad_norm_(with_gradients(torch.bfloat16), 1.0))
    assert theirs != pytest.approx(exact, rel=1e-4)


def test_our_mixed_adamw_computes_what_torch_does():
    from sdft.learning.optimization import MixedAdamW

    weights = [torch.ones(50, requires_grad=True) for _ in range(2)]
    options = {"lr": 0.01, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1}
    descend(MixedAdamW([weights[0]], state_dtype=torch.float32, **options), weights[0], 20)
    descend(torch.optim.AdamW([weights[1]], **options), weights[1], 20)
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weights_dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("state_dtype", ["float32", "bfloat16"])
def test_moments_have_their_dtype_and_survive_a_restart(weights_dtype, state_dtype):
    def make():
        weight = torch.ones(50, dtype=getattr(torch, weights_dtype), requires_grad=True)
        return weight, make_optimizer([weight], settings(state_dtype), weight.dtype)

    weight, optimizer = make()
    descend(optimizer, weight, 3)
    again, restarted = make()
    with torch.no_grad():
        again.copy_(weight)
    restarted.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    moments = [value for value in restarted.state[again].values() if torch.is_tensor(value) and value.numel() > 1]
    assert {value.dtype for value in moments} == {getattr(torch, state_dtype)}
    descend(optimizer, weight, 3, first=3)
    descend(restarted, again, 3, first=3)
    assert torch.equal(weight, again)


def test_seeds_depend_on_every_part():
    seeds = {derived_seed(seed, step, use) for seed in range(3) for step in range(3) for use in ("rollout", "loss")}
    assert len(seeds) == 18
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_stochastic_rounding_is_exact_where_it_can_be_and_right_on_average():
    from sdft.losses.rounding import round_stochastically

    generator = torch.Generator().manual_seed(0)
    exact = torch.tensor([0.0, 1.0, -2.5, 3e-30, -7e20])
    assert torch.equal(round_stochastically(exact.bfloat16().float(), generator), exact.bfloat16())
    values = torch.randn(50, generator=generator)
    many = round_stochastically(values.repeat(20000, 1), generator).double()
    assert all(len(column.unique()) <= 2 for column in many.T)
    unit = values.abs().double() * 2.0**-7
    assert ((many.mean(0) - values.double()).abs() < 0.02 * unit + 1e-12).all()


@pytest.mark.parametrize(("rounding", "moves"), [("nearest", False), ("stochastic", True)])
def test_small_steps_on_bfloat16_weights_count_only_with_stochastic_rounding(rounding, moves):
    """100 steps of 1e-4 on weights of 1, whose neighbours in bfloat16 are 4e-3 and 8e-3 away."""
    weight = torch.nn.Parameter(torch.ones(4096, dtype=torch.bfloat16))
    options = settings("bfloat16", rounding)
    options.weight_decay = 0.0
    optimizer = make_optimizer([weight], options, weight.dtype)
    optimizer.param_groups[0]["lr"] = 1e-4
    for _ in range(100):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    moved = 1 - weight.detach().double().mean().item()
    assert (moved == pytest.approx(0.01, rel=0.1)) if moves else (moved == 0)


def test_stochastic_rounding_depends_on_the_step_alone():
    def run():
        weight = torch.nn.Parameter(torch.ones(64, dtype=torch.bfloat16))
        optimizer = make_optimizer([weight], settings("bfloat16", "stochastic"), weight.dtype)
        descend(optimizer, weight, 3)
        return weight.detach()

    first = run()
    torch.rand(5)
    assert torch.equal(first, run())


def test_a_run_on_a_machine_without_cuda_takes_the_cpu_and_no_apple_gpu(monkeypatch):
    from accelerate.state import AcceleratorState

    from sdft.learning.processes import SingleProcess

    AcceleratorState._reset_state(True)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    monkeypatch.setattr("torch.backends.mps.is_built", lambda: True)
    try:
        assert SingleProcess().accelerator().device.type == "cpu"
    finally:
        AcceleratorState._reset_state(True)
