"""Medical: an offline judge that looks for the reference answer in the response.

The paper asks GPT-5-mini for CORRECT or INCORRECT. This judge needs no network and no model, and it is cruder: it
counts a reference that is quoted in order to be rejected, and misses a paraphrase. Its numbers must be disclosed as
its own and never be set beside the paper's as if one judge had made both.
"""

from __future__ import annotations

import re
import unicodedata

from sdft.common.errors import SdftError


def normalise(text: str) -> str:
    """Words in lower case with one space between them: compatibility forms folded, accents and punctuation dropped."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(re.findall(r"\w+", plain))


def score(response: str, answer: str) -> bool:
    """Whether the normalised reference stands in the normalised response, bounded by words.

    Raises SdftError for a reference without a single word, which every response would contain.
    """
    reference = normalise(answer)
    if not reference:
        raise SdftError(f"the reference answer {answer!r} holds no word; mend or drop the record it comes from.")
    return f" {reference} " in f" {normalise(response)} "
