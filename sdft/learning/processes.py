"""The processes that train one run: what the loop asks of them, as one process does it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any


class SingleProcess:
    """A run in one process, which is the first, has all rows of a step, and whole tensors.

    `sdft.learning.sharding.ShardedProcesses` has the same methods for several processes, one a GPU.
    """

    size = 1
    rank = 0

    @property
    def main(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def accelerator(self) -> Any:
        import torch
        from accelerate import Accelerator

        # Accelerate would take an Apple GPU, which has no float64.
        return Accelerator(cpu=not torch.cuda.is_available())

    def check(self, method: str, settings: Any) -> None:
        """Raise SdftError for a method or TrainingSettings that these processes cannot train with."""

    def first(self, make: Callable[[], Any]) -> Any:
        """What `make()` returns in the first process, for all; nobody goes on before it is done. It may raise."""
        return make()

    def each(self, make: Callable[[], Any]) -> list[Any]:
        """What `make()` returns in each process, for all. Raises in all what it raises in any."""
        return [make()]

    def held(self, context: Callable[[], AbstractContextManager]) -> AbstractContextManager:
        """The context that `context()` makes, entered by the first process alone."""
        return context()

    def agree(self, value: Any) -> Any:
        """The same in all processes: the largest of the values, of which None and False are the smallest."""
        return value

    def total(self, value: Any) -> Any:
        """The sum of a number or tensor over the processes."""
        return value

    def rows(self, rows: int, rank: int | None = None) -> tuple[int, int]:
        """The first of a process's rows of a step, and the one after its last; of this process by default."""
        rank = self.rank if rank is None else rank
        return rank * rows // self.size, (rank + 1) * rows // self.size

    def shard(self, model: Any) -> Any:
        """Keep only this process's part of a model's weights."""
        return model

    def settle(self, model: Any) -> None:
        """Let go of what a forward pass without gradient gathered."""

    def engine(self, engine: Any) -> Any:
        """The engine with which the processes together sample what one process samples with `engine`."""
        return engine

    def local(self, tensors: Any) -> Any:
        """A structure of tensors with this process's part of each."""
        return tensors

    def spread(self, state: dict[str, Any], student: Any, optimizer: Any, ema: Any) -> dict[str, Any]:
        """The inverse of `local` for a checkpoint's state."""
        return state

    def whole_weights(self, model: Any) -> dict[str, Any] | None:
        """The whole weights for `save_pretrained` in the first process; None where the model has them itself."""
        return None

    def writes(self, path: Path) -> Path:
        """Where this process may write what is meant for `path`."""
        return path if self.main else Path(os.devnull)
