"""Continued pre-training on raw texts (paper, Table 1), from which no question is asked."""

from __future__ import annotations

from sdft.data.records import Record
from sdft.encoding import Encoder, Example
from sdft.methods.sft import SFT


class CPT(SFT):
    """Next-token loss on a record's whole text, its last message's content, without chat template.

    The text's first token is what the others are predicted from; an end-of-sequence token closes it.
    """

    def encode(self, record: Record, encoder: Encoder, style: str) -> Example | None:
        text = encoder.text(record)
        return None if text is None else Example(record.id, text[:1], completion=text[1:])
