"""SFT on teacher samples (paper, Figure 6): the cross-entropy of SFT on the completions of offline distillation."""

from __future__ import annotations

from typing import ClassVar

from sdft.methods.offline_distillation import OfflineDistillation
from sdft.methods.sft import SFT


class SFTFromTeacher(SFT):
    """SFT on one completion a row, sampled once from the base model shown the demonstration.

    With the same seed and rows they are those that offline distillation trains on. There is no teacher any more once
    they are drawn, and every token carries loss, as in SFT.
    """

    title: ClassVar[str] = "SFT on teacher samples"
    look: ClassVar[tuple[str, str]] = ("#56b4e9", "<")
    sampling: ClassVar[str] = "once"
    shows_demonstration: ClassVar[bool] = True
    encode = OfflineDistillation.encode
