"""What a job finds on its node, as JSON: `python workflow_scripts/node.py`. The doctor's probe runs it inside a job."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sdft.evaluate import sandbox
from sdft.models.devices import driver_version, usable_gpus

# A name that every cluster with a way out can reach.
OUTSIDE = ("huggingface.co", 443)


def outside() -> bool:
    """Whether a connection leaves this node."""
    try:
        with socket.create_connection(OUTSIDE, timeout=5):
            return True
    except OSError:
        return False


def look() -> dict[str, Any]:
    """GPUs that torch computes on, and why no more; driver and CUDA of the build; sandbox; network."""
    import torch

    gpus, reason = usable_gpus()
    return {
        "gpus": [[gpu.name, round(gpu.gib, 1)] for gpu in gpus],
        "reason": reason,
        "driver": driver_version(),
        "cuda": torch.version.cuda,
        "sandbox": sandbox.available(),
        "network": outside(),
    }


if __name__ == "__main__":
    print(json.dumps(look()))
