"""The machine itself: what it is, and how fast it multiplies and copies."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import torch

from benchmarks.contact import CHECKS, Verdict, absent
from benchmarks.contact.bench import GIB, Bench, error

# Dense bfloat16 with tensor cores in TFLOP/s and memory in TB/s, by what a card's name contains (Nvidia's data sheets).
CARDS = {"H200": (989, 4.8), "H100 PCIe": (756, 2.0), "H100": (989, 3.35), "A100": (312, 2.0)}


def machine(bench: Bench) -> Iterator[Verdict]:
    packages = ("torch", "transformers", "accelerate", "peft", "numpy", "tokenizers", "triton", "pydantic")
    found = {name: _version(name) for name in packages}
    yield Verdict("machine.packages", "recorded", {"python": platform.python_version()} | found, None)
    wanting = sorted({name for check in CHECKS for name in absent(check)})
    yield Verdict("machine.absent", "recorded: each is a wheel to bring along", wanting, None)
    host = {"cores": os.cpu_count(), "memory_gib": round(_host_memory() / GIB, 1)}
    host["disk_free_gib"] = round(shutil.disk_usage(bench.folder).free / GIB, 1)
    host["c_compiler"] = shutil.which("cc") or shutil.which("gcc")
    yield Verdict("machine.host", "recorded", host, None)
    if not bench.gpu:
        yield Verdict("machine.gpu", "none, with --tiny alone", {"cuda_of_torch": torch.version.cuda}, bench.tiny)
        return
    card = torch.cuda.get_device_properties(0)
    measured = {
        "name": card.name,
        "memory_gib": round(card.total_memory / GIB, 1),
        "capability": list(torch.cuda.get_device_capability()),
        "cuda_of_torch": torch.version.cuda,
        "driver": _driver(),
        "layers_that_fit": bench.layers,
    }
    yield Verdict("machine.gpu", "bfloat16 in hardware", measured, torch.cuda.is_bf16_supported())


# As a step that was promised a GPU begins.
PROMISED = """
from sdft.common.errors import run_main
from sdft.models.devices import require_gpus

run_main(lambda: require_gpus(1) and None)
"""


def refusal(bench: Bench) -> Iterator[Verdict]:
    """A process that was promised a GPU and is shown none: it has to end at once and say why."""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    environment.pop("WORLD_SIZE", None)
    root, begun = Path(__file__).parents[2], time.perf_counter()
    command = [sys.executable, "-c", PROMISED]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120)
    seconds = time.perf_counter() - begun
    said = " ".join(done.stderr.split())
    measured = {"status": done.returncode, "seconds": round(seconds, 1), "said": said[-600:]}
    good = done.returncode != 0 and "promised 1 GPU" in said and (bench.tiny or seconds < 10)
    yield Verdict("refusal.no_gpu", "an error that names the GPU, within 10 s", measured, good)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _host_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def peaks(bench: Bench) -> Iterator[Verdict]:
    """Products of the model's own shapes, and whether float32 is float32."""
    name = torch.cuda.get_device_name()
    nominal, bandwidth = next((numbers for card, numbers in CARDS.items() if card in name), (None, None))
    size, times = 8192, 20
    for dtype in (torch.bfloat16, torch.float32):
        left, right = (torch.randn(size, size, device=bench.device).to(dtype) for _ in range(2))
        bench.seconds(lambda left=left, right=right: left @ right, 3)
        rate = 2 * size**3 / bench.seconds(lambda left=left, right=right: left @ right, times) / 1e12
        good = rate > 0.6 * nominal if nominal and dtype == torch.bfloat16 else None
        expected = f"at least 60 % of {nominal} TFLOP/s" if good is not None else "recorded"
        yield Verdict(f"peaks.matmul.{str(dtype)[6:]}", expected, {"tflops": round(rate, 1)}, good)
    left, right = (torch.randn(1024, 1024, device=bench.device) for _ in range(2))
    wrong = error(left @ right, left.double() @ right.double())
    yield Verdict("peaks.float32_is_exact", "below 1e-5: no TF32", {"relative_error": wrong}, wrong < 1e-5)
    source = torch.empty(2 * GIB, dtype=torch.uint8, device=bench.device)
    target = torch.empty_like(source)
    target.copy_(source)
    rate = 2 * source.numel() / bench.seconds(lambda: target.copy_(source), times) / 1e12
    good = rate > 0.6 * bandwidth if bandwidth else None
    expected = f"at least 60 % of {bandwidth} TB/s" if bandwidth else "recorded"
    yield Verdict("peaks.memory", expected, {"terabytes_per_second": round(rate, 2)}, good)
    host = torch.empty(GIB, dtype=torch.uint8)
    rate = host.numel() / bench.seconds(lambda: source[:GIB].copy_(host)) / 1e9
    yield Verdict("peaks.from_host", "recorded, pageable", {"gigabytes_per_second": round(rate, 2)}, None)
