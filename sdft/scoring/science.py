"""Science Q&A: is the answer exactly the right letter?"""

from __future__ import annotations


def score(response: str, answer: str) -> bool:
    """Whether the text after the last `<answer>`, up to the next `</answer>`, is exactly the gold letter.

    The rule of the authors' evaluation script: outer white space is ignored, case and further words are not. Without
    tags the whole response is compared, so that a bare letter counts.
    """
    return response.rpartition("<answer>")[2].partition("</answer>")[0].strip() == answer
