"""From messages to tokens, and from a student's prompt to its teacher's."""

from __future__ import annotations

from typing import Any

from sdft.common.errors import SdftError, did_you_mean

EXAMPLE = "This is an example for a response to the question:\n"
CLOSING = "Now answer with a response of your own, including the thinking process"


def teacher_messages(
    messages: list[dict[str, str]], demonstration: str, closing: str = "official"
) -> list[dict[str, str]]:
    """The teacher's prompt: the same conversation, the last user turn holding the demonstration as well.

    closing "official" is the released code's template, with outer newlines and a full stop; "paper" is the one printed
    in section 3 of the paper, with a colon and no outer newlines. Raises SdftError for another closing.
    """
    question = messages[-1]["content"]
    text = f"{question}\n\n{EXAMPLE}{demonstration}\n\n{CLOSING}"
    if closing == "official":
        text = f"\n{text}.\n"
    elif closing == "paper":
        text = f"{text}:"
    else:
        raise SdftError(f"unknown teacher template {closing!r}; {did_you_mean(closing, ('official', 'paper'))}")
    return [*messages[:-1], {"role": messages[-1]["role"], "content": text}]


def check_plain(tokenizer: Any, text: str) -> None:
    """Raise SdftError where a text spells a control token of the tokenizer, which would be read as that token."""
    spelt = next((token for token in tokenizer.all_special_tokens if token in text), None)
    if spelt is not None:
        around = text[max(0, text.index(spelt) - 30) :][:80]
        raise SdftError(
            f"a text of the data spells the control token {spelt!r} ({around!r}), which would be read as that token; "
            "write it in another way, or leave the row out."
        )


def check_turn_end(tokenizer: Any) -> None:
    """Raise SdftError where the chat template ends the assistant's turn with another token than the end of sequence.

    A model that is trained on the one and asked to stop at the other would never stop.
    """
    word, eos = "Zanzibar", tokenizer.eos_token
    turns = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": word}]
    said, _, end = tokenizer.apply_chat_template(turns, tokenize=False).rpartition(word)
    if said and eos not in end:
        raise SdftError(
            f"the chat template of {getattr(tokenizer, 'name_or_path', '') or 'this model'} ends the assistant's turn "
            f"with {end.strip()!r}, and the end-of-sequence token, with which training ends it, is {eos!r}; set "
            "eos_token in its tokenizer_config.json to the template's."
        )


def render(tokenizer: Any, messages: list[dict[str, str]]) -> list[int]:
    """Token ids of a conversation under the tokenizer's chat template, ending where the assistant is to speak.

    Raises SdftError when the tokenizer has no chat template, and for a message that spells a control token.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise SdftError(
            f"the tokenizer of {getattr(tokenizer, 'name_or_path', '') or 'this model'} has no chat template; use an "
            "instruction-tuned model, or add chat_template.jinja to its folder."
        )
    for message in messages:
        check_plain(tokenizer, message["content"])
    return tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False)
