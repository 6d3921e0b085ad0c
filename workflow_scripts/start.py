"""Start, or start again, a SLURM run of this directory: `python workflow_scripts/start.py [SNAKEMAKE ARGUMENTS]`.

Like `snakemake --profile slurm ARGUMENTS`, and safe to repeat after whatever happened to the last one. A second start
while one is running is refused. Jobs that a dead Snakemake left in SLURM are cancelled (training has saved a checkpoint
when it is gone, and continues there) or waited for, never run twice.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sdft.common.errors import SdftError, run_main
from sdft.common.locks import try_lock
from workflow_scripts.slurm_guard import PREFIX, jobs_here

LOCK = Path(".snakemake/start.lock")
RUNNING = Path(".snakemake/running")
LOG = Path("results/controller.log")


def take_lock(path: Path, take_over: bool = False) -> int:
    """Hold an exclusive lock for as long as this process (or what it becomes by exec) lives.

    Returns the file descriptor. Raises SdftError when another process has the lock, when there are no locks here, or
    when the last start was on another host, where a file lock may be invisible from here.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    owner = os.read(handle, 200).decode().strip()
    if not try_lock(handle, path):
        raise SdftError(f"this directory is being run already ({owner}); stop that one first (Ctrl-C there).")
    host = socket.gethostname()
    if owner and not take_over and owner.split(" ", 1)[0] != host:
        os.close(handle)
        raise SdftError(
            f"the last start was on another machine ({owner}). Make sure that it does not run there any more, "
            "then repeat the command with --take-over."
        )
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{host} process {os.getpid()}\n".encode(), 0)
    os.set_inheritable(handle, True)
    return handle


def snakemake_is_running(mark: Path = RUNNING) -> bool:
    """Whether a Snakemake holds the lock that rules/recovery.smk takes for as long as the process lives."""
    if not mark.exists():
        return False
    with open(mark, "a") as handle:
        return not try_lock(handle, mark)


def settle_orphans(choice: str, prefix: str = PREFIX, seconds: float = 300) -> None:
    """Return when no job of an earlier Snakemake is left here: `cancel` them first, or only `wait`."""
    jobs = _orphans(prefix)
    if not jobs:
        return
    if choice == "cancel":
        print(f"cancelling {len(jobs)} SLURM jobs that an earlier start left: {' '.join(jobs)}", flush=True)
        subprocess.run(["scancel", *jobs], check=False)
    else:
        print(f"waiting for {len(jobs)} SLURM jobs that an earlier start left: {' '.join(jobs)}", flush=True)
    end = time.monotonic() + seconds
    while jobs := _orphans(prefix):
        if choice == "cancel" and time.monotonic() > end:
            raise SdftError(
                f"SLURM jobs {' '.join(jobs)} are still there {seconds:.0f} s after scancel; look at squeue."
            )
        time.sleep(1 if choice == "cancel" else 20)


def _orphans(prefix: str) -> list[str]:
    try:
        return jobs_here(Path.cwd(), prefix)
    except FileNotFoundError:
        raise SdftError("squeue is not on PATH; start on a machine that can submit SLURM jobs.") from None
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip()
        raise SdftError(f"squeue gives no answer ({said}); try again when `squeue` works.") from None


def _detach(log: Path) -> None:
    """Continue in the background, in a session of its own, with all output in `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if os.fork():
        print(f"started in the background; its output is in {log}, `python workflow_scripts/status.py` shows the rest")
        os._exit(0)
    os.setsid()
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    source = os.open(os.devnull, os.O_RDONLY)
    for descriptor, number in ((source, 0), (target, 1), (target, 2)):
        os.dup2(descriptor, number)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="start.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--orphans", choices=["cancel", "wait"], default="cancel", help="jobs that an earlier start left"
    )
    parser.add_argument("--detach", action="store_true", help=f"run in the background, output in {LOG}")
    parser.add_argument("--take-over", action="store_true", help="the last start, on another machine, is surely gone")
    options, rest = parser.parse_known_args(arguments)
    if not any(argument.split("=", 1)[0] == "--profile" for argument in rest):
        rest = ["--profile", "slurm", *rest]

    take_lock(LOCK, options.take_over)
    if snakemake_is_running():
        raise SdftError("Snakemake runs in this directory already; stop that one first (Ctrl-C there).")
    settle_orphans(options.orphans)
    if options.detach:
        _detach(LOG)
    # A closed terminal sends SIGHUP, which would end Snakemake and leave its jobs alone. Ignoring it outlives exec.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", *rest])


if __name__ == "__main__":
    run_main(main)
