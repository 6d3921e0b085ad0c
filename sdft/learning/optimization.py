"""What every method shares: the order of the data, the optimizer and its schedule."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from sdft.common.seeds import derived_seed
from sdft.losses.rounding import round_stochastically


def batches(rows: int, batch_size: int, epochs: int, seed: int, drop_last: bool = True) -> list[list[int]]:
    """The row numbers of every optimizer step: a new permutation each epoch, a function of the arguments alone.

    drop_last leaves out an epoch's incomplete last batch, as the official code does.
    """
    steps = []
    for epoch in range(epochs):
        order = list(range(rows))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        cuts = [order[start : start + batch_size] for start in range(0, rows, batch_size)]
        steps += [cut for cut in cuts if len(cut) == batch_size or not drop_last]
    return steps


def learning_rate(step: int, steps: int, peak: float, schedule: str = "cosine", warmup_steps: int = 0) -> float:
    """Learning rate of optimizer step `step`, counted from 0: linear warm-up from 0 to `peak`, then the schedule.

    The schedules are those of transformers (cosine and linear reach zero after the last step), which the official
    code uses; with a warm-up the very first step therefore has rate 0.
    """
    if step < warmup_steps:
        return peak * step / warmup_steps
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    if schedule == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * progress))
    if schedule == "linear":
        return peak * (1 - progress)
    if schedule == "constant":
        return peak
    raise ValueError(f"schedule is {schedule!r}; it must be cosine, linear or constant")


def clip_gradients(parameters: Iterable[Tensor], most: float) -> float:
    """Scale the gradients down to a norm of `most` where theirs is larger; returns the norm that they had.

    It is summed in float32 whatever the gradients' dtype: in bfloat16 it would have 8 bits.
    """
    parameters = [parameter for parameter in parameters if parameter.grad is not None]
    norms = [torch.linalg.vector_norm(parameter.grad, dtype=torch.float32) for parameter in parameters]
    norm = torch.linalg.vector_norm(torch.stack(norms))
    torch.nn.utils.clip_grads_with_norm_(parameters, most, norm)
    return float(norm)


def make_optimizer(parameters: Iterable[Tensor], settings: Any, weights_dtype: torch.dtype) -> torch.optim.Optimizer:
    """AdamW over `parameters` as `settings` (TrainingSettings) has it; its learning rate is set at each step."""
    options = {
        "lr": 0.0,
        "betas": tuple(settings.betas),
        "eps": settings.epsilon,
        "weight_decay": settings.weight_decay,
    }
    dtype = getattr(torch, settings.optimizer_dtype)
    stochastic = settings.rounding == "stochastic" and torch.bfloat16 in (dtype, weights_dtype)
    if dtype == weights_dtype and not stochastic:
        return torch.optim.AdamW(parameters, fused=True, **options)
    return MixedAdamW(parameters, state_dtype=dtype, stochastic=stochastic, **options)


class MixedAdamW(torch.optim.Optimizer):
    """AdamW whose two moments have another dtype than the weights; each step is computed in float32.

    torch's own AdamW gives the moments the weights' dtype, so bfloat16 weights with float32 moments need this. With
    `stochastic` what is stored in bfloat16 is rounded stochastically, so that small steps are not lost on average;
    the random numbers depend on the step and the parameter alone.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        state_dtype: torch.dtype,
        stochastic: bool = False,
    ) -> None:
        self.state_dtype = state_dtype
        self.stochastic = stochastic
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            first, second = group["betas"]
            for number, parameter in enumerate(group["params"]):
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = 0
                    for name in ("mean", "square"):
                        state[name] = torch.zeros_like(parameter, dtype=self.state_dtype)
                state["step"] += 1
                gradient = parameter.grad.float()
                mean = state["mean"].float().lerp_(gradient, 1 - first)
                square = state["square"].float().mul_(second).addcmul_(gradient, gradient, value=1 - second)
                generator = self._generator(parameter.device, state["step"], number)
                self._store(state["mean"], mean, generator)
                self._store(state["square"], square, generator)
                scale = (square / (1 - second ** state["step"])).sqrt_().add_(group["eps"])
                weights = parameter.float() * (1 - group["lr"] * group["weight_decay"])
                weights.addcdiv_(mean, scale, value=-group["lr"] / (1 - first ** state["step"]))
                self._store(parameter, weights, generator)

    def _generator(self, device: torch.device, step: int, number: int) -> torch.Generator | None:
        if not self.stochastic:
            return None
        return torch.Generator(device=device).manual_seed(derived_seed("rounding", step, number))

    def _store(self, target: Tensor, values: Tensor, generator: torch.Generator | None) -> None:
        """Write float32 values into a tensor, rounded to its dtype."""
        rounded = generator is not None and target.dtype == torch.bfloat16
        target.copy_(round_stochastically(values, generator) if rounded else values)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, but the moments keep their dtype (torch would give them the weights')."""
        super().load_state_dict(state_dict)
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for number, saved in state_dict["state"].items():
            state = self.state[parameters[number]]
            for name in ("mean", "square"):
                state[name] = saved[name].to(device=parameters[number].device, dtype=self.state_dtype, copy=True)
