"""SDFT with an anchor to the frozen base model, as iSDFT adds one (arXiv 2609.24646, which weighs it by 0.002)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from sdft.common.schema import NUMBER, Strict
from sdft.methods.base import MicroBatch
from sdft.methods.sdft import SDFT

if TYPE_CHECKING:
    from torch import Tensor

    from sdft.divergence import BatchLoss


class AnchoredSDFT(SDFT):
    """The loss of SDFT plus anchor_weight * KL(base || student) along the student's own answers.

    The base model sees the question alone. Its other part, a budget on the teacher's target, is not here.
    """

    class Options(Strict):
        anchor_weight: Annotated[float, Field(gt=0), NUMBER] = 0.002

    title: ClassVar[str] = "SDFT + anchor to base"
    look: ClassVar[tuple[str, str]] = ("#332288", "h")
    anchored: ClassVar[bool] = True

    def _distilled(self, batch: MicroBatch, states: list[Tensor]) -> BatchLoss:
        from sdft.losses.anchor import anchored

        loss, weight = super()._distilled(batch, states), self.options.anchor_weight
        return anchored(loss, weight, *states[:2], batch, self.pad, self.settings.loss_reduction)
