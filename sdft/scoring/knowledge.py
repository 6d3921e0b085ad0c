"""Knowledge: does the response hold the fact that was asked for?"""

from __future__ import annotations

from sdft.scoring import medical


def score(response: str, answer: str) -> bool:
    """Whether the reference stands in the response, by the same offline judge as the medical task.

    The paper's judge is GPT-5-mini with three labels; this one cannot tell a partly correct answer from a wrong one.
    Raises SdftError for a reference without a single word.
    """
    return medical.score(response, answer)
