"""Reproduction of "Self-Distillation Enables Continual Learning" (SDFT, arXiv 2601.19897)."""

import os

__version__ = "0.1.0"

if "SDFT_WARM" in os.environ:
    from sdft.common.warm import hand_over

    hand_over()
