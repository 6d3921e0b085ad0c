"""The teacher whose weights follow the student's as an exponential moving average."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from sdft.common.seeds import derived_seed
from sdft.losses.rounding import round_stochastically


class EMATeacher:
    """A copy of `model` that moves by phi <- rate * theta + (1 - rate) * phi at each `update` (paper section 3).

    dtype is the arithmetic of the average, float32 by default. Where it is not the model's own dtype the average is
    kept beside the model, which then holds it rounded for the forward pass. In bfloat16 (the official code, two
    roundings an update) steps below half a unit in the last place are lost, and at rate 0.01 the average of slowly
    moving weights stands still. `stochastic` computes a bfloat16 average in float32 and rounds it up or down by chance,
    so that it moves as it should on average; the random numbers depend on the update and the parameter alone.

    `model` is never trained: its parameters need no gradient and it is in eval mode. Tied weights stay tied.
    twin: a model with the weights of `model`, to be used instead of a copy; a sharded model cannot be copied.
    trained: names of the parameters that move, where the others never do (adapters); these are shared with `model`.
    Raises ValueError for a rate outside [0, 1].
    """

    def __init__(
        self,
        model: nn.Module,
        rate: float,
        dtype: torch.dtype = torch.float32,
        twin: nn.Module | None = None,
        *,
        stochastic: bool = False,
        trained: Collection[str] | None = None,
    ) -> None:
        if not 0 <= rate <= 1:
            raise ValueError(f"the EMA rate is {rate}; it must be between 0 and 1")
        self.rate = rate
        self.dtype = dtype
        self.stochastic = stochastic and dtype == torch.bfloat16
        self.updates = 0
        still = set() if trained is None else dict(model.named_parameters()).keys() - set(trained)
        shared = {id(value): value for name, value in model.named_parameters() if name in still}
        self.model = (copy.deepcopy(model, shared) if twin is None else twin).requires_grad_(False).eval()
        moving = {name: value for name, value in self.model.named_parameters() if name not in still}
        self.average = {name: self._average(value) for name, value in moving.items()}

    def _average(self, value: Tensor) -> Tensor:
        """The tensor that is averaged for a parameter: itself where it has the right dtype, else a copy."""
        return value.detach().to(self.dtype) if value.is_floating_point() else value.detach()

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards `model`, the student after an optimizer step; buffers are copied.

        Raises ValueError when its parameters are not those the teacher was made from.
        """
        source, own = dict(model.named_parameters()), dict(self.model.named_parameters())
        if source.keys() != own.keys():
            raise ValueError("the student's parameters are not the teacher's; both must be the same architecture")
        for number, (name, average) in enumerate(self.average.items()):
            if not average.is_floating_point():
                average.copy_(source[name])
            elif self.stochastic:
                theta = source[name].to(device=average.device, dtype=torch.float32)
                generator = torch.Generator(device=average.device)
                generator.manual_seed(derived_seed("average", self.updates, number))
                average.copy_(round_stochastically(average.float().lerp_(theta, self.rate), generator))
            else:
                theta = source[name].to(device=average.device, dtype=average.dtype)
                average.mul_(1 - self.rate).add_(theta, alpha=self.rate)
        self.updates += 1
        buffers = dict(model.named_buffers())
        for name, buffer in self.model.named_buffers():
            buffer.copy_(buffers[name])
        self._show(own)

    def _show(self, parameters: dict[str, nn.Parameter]) -> None:
        """Put the average into the model's parameters; nothing to do where the two are one tensor."""
        for name, average in self.average.items():
            if parameters[name].dtype != average.dtype:
                parameters[name].data.copy_(average)

    def state_dict(self) -> dict[str, Any]:
        """The average, the buffers and the number of updates, from which `load_state_dict` continues exactly."""
        return {"average": dict(self.average), "buffers": dict(self.model.named_buffers()), "updates": self.updates}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a `state_dict`. Raises KeyError when it belongs to another architecture."""
        for name, average in self.average.items():
            average.copy_(state["average"][name])
        for name, buffer in self.model.named_buffers():
            buffer.copy_(state["buffers"][name])
        self.updates = state["updates"]
        self._show(dict(self.model.named_parameters()))
