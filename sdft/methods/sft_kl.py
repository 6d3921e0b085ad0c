"""SFT with a KL penalty to the base model: the plainest way not to forget, which readers of the paper ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from sdft.common.schema import NUMBER, Strict
from sdft.methods.base import MicroBatch
from sdft.methods.sft import SFT

if TYPE_CHECKING:
    from sdft.divergence import BatchLoss


class SFTWithKL(SFT):
    """The cross-entropy of SFT plus kl_weight * KL(base || model) at the tokens of the demonstration."""

    class Options(Strict):
        kl_weight: Annotated[float, Field(gt=0), NUMBER] = 0.1

    title: ClassVar[str] = "SFT + KL to base"
    look: ClassVar[tuple[str, str]] = ("#882255", "p")
    anchored: ClassVar[bool] = True

    def loss(self, batch: MicroBatch, student: Any, teacher: Any) -> BatchLoss:
        from sdft.losses.anchor import anchored

        hidden = self._hidden(batch, student)
        loss = self._supervised(batch, student, hidden)
        head, weight = student.get_output_embeddings().weight, self.options.kl_weight
        return anchored(loss, weight, hidden, head, batch, self.pad, self.settings.loss_reduction)
