"""Models that think before they answer (Olmo-3-7B-Think): where their thinking ends and the answer begins."""

from __future__ import annotations

from typing import Any

OPEN, CLOSE = "<think>", "</think>"


def opening(tokenizer: Any) -> str:
    """OPEN where the chat template has the assistant begin inside a thinking block, else nothing.

    Such a model's responses hold the end of the block alone.
    """
    if not getattr(tokenizer, "chat_template", None):
        return ""
    turn = [{"role": "user", "content": "x"}]
    text = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
    return OPEN if text.rstrip().endswith(OPEN) else ""


def answer(response: str) -> str:
    """What a response says after its thinking: the whole of it where it has none, nothing where that does not end.

    response: from the opening tag on, also where the prompt holds the tag.
    """
    _, closed, rest = response.rpartition(CLOSE)
    if closed:
        return rest.strip()
    return "" if response.lstrip().startswith(OPEN) else response


def closed(text: str) -> str:
    """A response without thinking, for a prompt that has opened the block: an empty block, then the text."""
    return f"\n\n{CLOSE}\n\n{text}"
