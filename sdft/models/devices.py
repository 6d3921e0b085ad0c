"""The GPUs that a step was promised, and those that it can use.

A library that finds no usable GPU works on the CPU without a word, so a step says how many it needs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path

from sdft.common.errors import SdftError

GIB = 2**30
DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Gpu:
    """A GPU that torch can use. gib: its memory in GiB."""

    name: str
    gib: float


def check_device(name: str) -> str:
    """The name of a device: auto, cpu, cuda or cuda:N. Raises ValueError for another one, and for a GPU that there is
    not."""
    if not re.fullmatch("auto|cpu|cuda(:[0-9]{1,4})?", name):
        raise ValueError("a device is auto, cpu, cuda, or a GPU by its number from 0, such as cuda:1")
    kind, _, number = name.partition(":")
    if kind == "cuda":
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) >= count:
            raise ValueError(f"torch can use {count or 'no'} GPU{'s' * (count > 1)} here; use auto or cpu")
    return name


def usable_gpus(most: int | None = None) -> tuple[list[Gpu], str | None]:
    """The GPUs on which torch has just added two numbers, and why there are no more. Nothing else asks.

    most: look at so many only, since looking at one takes some of its memory.
    """
    import torch

    with warnings.catch_warnings(record=True) as said:
        # What torch says of a driver that is too old is a warning.
        warnings.simplefilter("always")
        found, reason = [], None
        try:
            count = torch.cuda.device_count() if torch.cuda.is_available() else 0
            for number in range(count if most is None else min(most, count)):
                torch.ones(1, device=f"cuda:{number}").add_(1).item()
                properties = torch.cuda.get_device_properties(number)
                found.append(Gpu(properties.name, properties.total_memory / GIB))
        except (RuntimeError, AssertionError) as error:
            reason = _first_line(str(error))
    return found, reason or next((_first_line(str(one.message)) for one in said), None)


def require_gpus(count: int, growing: bool = True) -> list[Gpu]:
    """The first `count` GPUs of this job, of which a process that torchrun started has only to take its own.

    growing: let torch's memory grow in place, since a cache that grows token by token leaves holes; vLLM's sleep cannot
    do with it. To be called before torch has used a GPU. Raises SdftError with the driver, the CUDA version of torch
    and the remedy where there are fewer that work.
    """
    if count and growing:
        os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    if count < 1 or "WORLD_SIZE" in os.environ:
        return []
    found, reason = usable_gpus(count)
    if len(found) < count:
        raise SdftError(_too_few(count, len(found), reason))
    return found


def _too_few(count: int, found: int, reason: str | None) -> str:
    import torch

    build, driver = torch.version.cuda, driver_version()
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    said = f"this step was promised {count} GPU{'s' * (count > 1)} and torch can use {found or 'none'}"
    said += f" ({reason})" if reason else ""
    facts = [
        f"NVIDIA driver: {driver or 'not found'}",
        f"torch {torch.__version__} is built for {f'CUDA {build}' if build else 'no CUDA at all'}",
        f"CUDA_VISIBLE_DEVICES: {'not set' if shown is None else repr(shown)}",
    ]
    if driver is None:
        remedy = "Let the job ask for a GPU (SDFT_SLURM_PARTITION, SDFT_SLURM_GPU; slurm/README.md)"
    else:
        remedy = (
            "Where the driver is older than the build needs (CUDA 13 needs 580, CUDA 12 needs 525), install the same "
            "torch for an older CUDA: pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cu126"
        )
    return f"{said}; {'; '.join(facts)}. {remedy}. To compute on the CPU instead, ask for none (gpus: 0 of the scale)."


def driver_version() -> str | None:
    """The version of NVIDIA's driver on this machine; None where there is none."""
    if DRIVER.is_file() and (found := re.search(r"\s(\d+\.\d+(\.\d+)?)\s", DRIVER.read_text())):
        return found.group(1)
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(done.stdout.split()), None)


def _first_line(text: str) -> str:
    return " ".join((text.strip() or "no reason given").splitlines()[0].split())[:200]
