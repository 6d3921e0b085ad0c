"""Starting the processes of a run with torchrun, and finding them again in its environment."""

from __future__ import annotations

import os
import sys

from sdft.learning.processes import SingleProcess


def launch(module: str, processes: int, arguments: list[str] | None, seconds: int) -> None:
    """Become torchrun with so many processes of `module`; nothing happens for one, or where torchrun is above already.

    arguments: of the command, None for those of this process. seconds: that the processes have after a SIGTERM.
    """
    if processes > 1 and "WORLD_SIZE" not in os.environ:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command += [f"--shutdown-timeout={seconds}", "-m", "--", module]
        # Without the two dashes torchrun takes options of the module, such as --run, for its own.
        os.execv(sys.executable, [*command, *(sys.argv[1:] if arguments is None else arguments)])


def find_processes(wait_minutes: float = 0) -> SingleProcess:
    """The processes that torchrun started, as its environment variables say; without these, this process alone.

    wait_minutes: how long the other processes wait for the first one, which may have to wait for a lock.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return SingleProcess()
    from sdft.learning.sharding import ShardedProcesses

    return ShardedProcesses(wait_minutes)
