"""SDFT whose teacher is shown the demonstrations of other rows: is it the content that teaches, or having an example?

OP2SD (arXiv 2608.09228) reports that another problem's solution helps about as much as the right one.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from sdft.common.schema import Rate, Strict
from sdft.methods.sdft import SDFT

if TYPE_CHECKING:
    from sdft.records.record import Record


class MismatchedSDFT(SDFT):
    """SDFT in which the share `mismatched` of the rows exchange their demonstrations in a circle, once for a run."""

    class Options(Strict):
        mismatched: Rate = 1.0

    title: ClassVar[str] = "SDFT, demonstrations mismatched"
    look: ClassVar[tuple[str, str]] = ("#999933", "8")

    def arrange(self, records: list[Record], prompts: list[Record], seed: int) -> list[Record]:
        count = round(self.options.mismatched * len(records))
        chosen = random.Random(f"{seed}/mismatched").sample(range(len(records)), count)
        taken = dict(zip(chosen, chosen[1:] + chosen[:1], strict=True))
        return [
            replace(record, demonstrations=records[taken.get(place, place)].demonstrations)
            for place, record in enumerate(records)
        ]
