"""Reproduction of "Self-Distillation Enables Continual Learning" (SDFT, arXiv 2601.19897)."""

import os
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

if "SDFT_WARM" in os.environ:
    from sdft.common.warm import hand_over

    hand_over()


def __getattr__(name: str) -> Any:
    """`sdft.compare`, which is imported when it is asked for: it needs torch, and planning a study does not."""
    if name == "compare":
        return import_module("sdft.comparison").compare
    raise AttributeError(f"module 'sdft' has no attribute {name!r}")
