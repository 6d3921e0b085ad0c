"""Continued pre-training on raw texts (paper, Table 1), from which no question is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sdft.methods.sft import SFT

if TYPE_CHECKING:
    from sdft.losses.encoding import Encoder, Example
    from sdft.records.record import Record


class CPT(SFT):
    """Next-token loss on a record's whole text, its last message's content, without chat template.

    The text's first token is what the others are predicted from; an end-of-sequence token closes it.
    """

    title: ClassVar[str] = "CPT"
    look: ClassVar[tuple[str, str]] = ("#56b4e9", "^")
    rows: ClassVar[str] = "corpus"

    def encode(self, record: Record, encoder: Encoder, style: str) -> Example | None:
        from sdft.losses.encoding import Example

        text = encoder.text(record)
        return None if text is None else Example(record.id, text[:1], completion=text[1:])
