"""Dynamic Fine-Tuning (arXiv 2508.05629): SFT with each token's loss weighted by its own constant probability."""

from __future__ import annotations

from typing import ClassVar

from sdft.methods.sft import SFT


class DFT(SFT):
    """As SFT, so that a token the model finds impossible teaches nothing. It is not distillation from a teacher."""

    title: ClassVar[str] = "DFT"
    look: ClassVar[tuple[str, str]] = ("#e69f00", "s")
    weighting: ClassVar[str] = "dft"
