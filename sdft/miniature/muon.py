"""Muon with its products in float32 and matrices of one shape together.

`torch.optim.Muon` makes a bfloat16 copy of each gradient. A processor without bfloat16 products (AVX2 alone) then
spends three fifths of an update there.
"""

from __future__ import annotations

from collections import defaultdict

import torch


def orthogonalized(
    matrices: torch.Tensor, coefficients: tuple[float, float, float], iterations: int, eps: float
) -> torch.Tensor:
    """Matrices [N, R, C], R <= C, with their singular values brought near 1.

    The quintic Newton-Schulz iteration of Muon (Jordan et al. 2024, github.com/KellerJordan/Muon):
    X <- aX + (bA + cA²)X with A = XXᵀ, from X of Frobenius norm 1.
    """
    a, b, c = coefficients
    x = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp(min=eps)
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


class Muon(torch.optim.Muon):
    """`torch.optim.Muon` in the arithmetic of its parameters: same options, same state, Nesterov momentum."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            alike = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    rows, columns = parameter.shape
                    alike[min(rows, columns), max(rows, columns)].append(parameter)
            for parameters in alike.values():
                self._update(group, parameters)

    def _update(self, group: dict, parameters: list[torch.Tensor]) -> None:
        momentum = group["momentum"]
        directions = []
        for parameter in parameters:
            state = self.state[parameter]
            average = state.setdefault("momentum_buffer", torch.zeros_like(parameter))
            average.lerp_(parameter.grad, 1 - momentum)
            direction = parameter.grad.lerp(average, momentum)
            directions.append(direction.mT if direction.shape[0] > direction.shape[1] else direction)
        made = orthogonalized(torch.stack(directions), group["ns_coefficients"], group["ns_steps"], group["eps"])
        for parameter, update in zip(parameters, made, strict=True):
            rows, columns = parameter.shape
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            scale = max(1.0, rows / columns) ** 0.5
            parameter.add_(update.mT if rows > columns else update, alpha=-group["lr"] * scale)
