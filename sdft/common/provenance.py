"""Where a number came from: the manifest that every result carries."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from sdft.common.code import STEPS, step_code
from sdft.common.files import ROOT, digest

LIBRARIES = ("torch", "transformers", "accelerate", "datasets", "lm_eval", "numpy", "scipy", "pandas", "snakemake")


@cache
def _commit() -> tuple[str | None, bool | None]:
    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    changes = git("status", "--porcelain", "--untracked-files=no") if commit else None
    return commit, None if changes is None else bool(changes)


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def _processor() -> str:
    """The processor's model and how many cores this process may use."""
    model = platform.processor() or platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores"


class Clock:
    """Wall-clock of a step, started when it is made; gives the cost fields of a manifest."""

    def __init__(self, device: str = "cpu", devices: int = 1) -> None:
        self.start = self._made = time.time()
        self._running = time.monotonic()
        self.device = device
        self.devices = devices

    def cost(self) -> dict[str, Any]:
        """Seconds of wall-clock, device-hours (wall-clock times devices), peak memory in MiB, machine and date."""
        # What was moved is time that an earlier process took. The wall clock itself may be set while a step works.
        seconds = max(0.0, time.monotonic() - self._running + self._made - self.start)
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        cost = {
            "device": self.device,
            "hardware": _processor(),
            "finished": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "seconds": round(seconds, 3),
            "device_hours": round(seconds * self.devices / 3600, 6),
            "peak_memory_mib": round(kilobytes / 1024, 1),
        }
        torch = sys.modules.get("torch")
        if self.device.startswith("cuda") and torch is not None:
            cost["hardware"] = f"{self.devices} x {torch.cuda.get_device_name()}"
            cost["peak_device_memory_mib"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
        return cost


def manifest(
    step: str, *, clock: Clock, code: Any = None, config: Any = None, seeds: Any = None, inputs: Any = None
) -> dict[str, Any]:
    """The record of how a result was made: code, configuration, inputs, software, device and cost.

    `code` is the digest of the code that decided it, or several by what each decided; by default the step's. `config`
    is digested, `inputs` (paths with sha256, data and model revisions) and `seeds` are kept as given.
    """
    commit, dirty = _commit()
    return {
        "step": step,
        "code": code or (step_code(step) if step in STEPS else None),
        "config": None if config is None else digest(config, 12),
        "commit": commit,
        "dirty": dirty,
        "inputs": inputs,
        "seeds": seeds,
        "versions": _versions(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        **clock.cost(),
    }
