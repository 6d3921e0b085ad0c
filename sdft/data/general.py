"""General prompts for SFT + re-invoke, from any public instruction set of chat messages."""

from __future__ import annotations

from pathlib import Path

from sdft.common.errors import SdftError
from sdft.data.splits import ranked
from sdft.records.readers import read_rows, refuse
from sdft.records.record import Record


def read_prompts(path: str | Path, prompts: int, max_characters: int, seed: int) -> list[Record]:
    """`prompts` records with the first user turn of a conversation each, drawn by the split's rule without repeats.

    Rows hold `messages`, or a text `prompt` or `instruction`. Turns longer than `max_characters` are left out. Raises
    SdftError for another schema, or where too few prompts are left.
    """
    turns: dict[str, str] = {}
    for number, row in enumerate(read_rows(path)):
        text = row.get("prompt") or row.get("instruction")
        if "messages" in row:
            turns_of = [turn for turn in row["messages"] or () if isinstance(turn, dict)]
            text = next((turn.get("content") for turn in turns_of if turn.get("role") == "user"), None)
        if not isinstance(text, str):
            raise refuse(path, number, "the row has neither 'messages' with a user turn, nor 'prompt' or 'instruction'")
        if 0 < len(text.strip()) <= max_characters:
            turns.setdefault(text.strip(), f"general-{number}")
    by_id = {name: text for text, name in turns.items()}
    if len(by_id) < prompts:
        raise SdftError(
            f"{path} has {len(by_id)} prompts of at most {max_characters} characters, fewer than the {prompts} asked "
            "for; lower data.general.prompts in config.yaml, or take a larger set."
        )
    return [Record(name, [{"role": "user", "content": by_id[name]}]) for name in ranked(list(by_id), seed)[:prompts]]
