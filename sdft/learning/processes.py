"""The processes that train one run: one, or several that torchrun started on one node."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

# After a SIGTERM the processes have so long to save; the shipped SLURM profile sends it 120 s before the time limit.
SHUTDOWN_SECONDS = 100


def launch(module: str, processes: int, arguments: list[str] | None) -> None:
    """Become torchrun with so many processes of `module`; nothing happens for one, or where torchrun is above already.

    arguments: of the command, None for those of this process.
    """
    if processes > 1 and "WORLD_SIZE" not in os.environ:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command += [f"--shutdown-timeout={SHUTDOWN_SECONDS}", "-m", "--", module]
        # Without the two dashes torchrun takes options of the module, such as --run, for its own.
        os.execv(sys.executable, [*command, *(sys.argv[1:] if arguments is None else arguments)])


def find_processes(wait_minutes: float = 0) -> Alone:
    """The processes that torchrun's environment speaks of; without one, this process alone.

    wait_minutes: how long the others have patience with the first one, which may have to wait for a lock.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Alone()
    from sdft.learning.sharding import Several

    return Several(wait_minutes)


class Alone:
    """One process: it is the first, it has all rows, and its tensors are whole. `Several` keeps what this promises."""

    size = 1
    rank = 0

    @property
    def main(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def accelerator(self) -> Any:
        from accelerate import Accelerator

        return Accelerator()

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

    def parts(self, rows: int, most: int | None) -> Iterator[tuple[slice, float]]:
        """Micro-batches of at most `most` of a step's rows: which rows, and which share of the step they are."""
        size = most or rows
        for first in range(0, rows, size):
            last = min(first + size, rows)
            yield slice(first, last), (last - first) / rows

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
