"""From records to token ids, and from token ids to the hidden states that predict a completion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sdft.common.errors import SdftError
from sdft.losses.last_layer import last_columns
from sdft.records import thinking
from sdft.records.prompts import check_plain, check_turn_end, render, teacher_messages
from sdft.records.record import Record


@dataclass(frozen=True)
class Example:
    """One training row as token ids.

    prompt: what the student sees, up to where the assistant speaks. completion: the demonstration with the token that
    ends a turn, None where the student's own samples are trained on. teacher_prompt: None for methods without teacher.
    """

    id: str
    prompt: list[int]
    completion: list[int] | None = None
    teacher_prompt: list[int] | None = None


@dataclass(frozen=True)
class Completions:
    """The tokens that a step trains on: one row a sequence, padded on the right.

    tokens: [B, C] ids; mask: [B, C], true up to and including the token that ends the turn; log_probs: [B, C] in nats
    under the distribution they were sampled from, None where they were not sampled.
    """

    tokens: Tensor
    mask: Tensor
    log_probs: Tensor | None = None

    def part(self, rows: slice | list[int]) -> Completions:
        """Some of the sequences, without the columns that none of them needs."""
        width = max(1, int(self.mask[rows].sum(-1).max()))
        log_probs = None if self.log_probs is None else self.log_probs[rows, :width]
        return Completions(self.tokens[rows, :width], self.mask[rows, :width], log_probs)


class Encoder:
    """Turns records into examples under one tokenizer, one model's context and the settings' length limits.

    context: longest sequence of the model in tokens. Raises SdftError for a tokenizer without an end-of-sequence token,
    or whose chat template ends a turn with another one.
    """

    def __init__(self, tokenizer: Any, context: int, settings: Any) -> None:
        if tokenizer.eos_token_id is None:
            raise SdftError(
                f"the tokenizer of {tokenizer.name_or_path} has no end-of-sequence token, so no completion could end; "
                "set eos_token in its tokenizer_config.json."
            )
        if getattr(tokenizer, "chat_template", None):
            check_turn_end(tokenizer)
        self.tokenizer = tokenizer
        self.context = context
        self.settings = settings
        # Ids of the records that were cut; the step and the run report how many they are.
        self.cut: set[str] = set()
        self.thinks = bool(thinking.opening(tokenizer))

    def student_prompt(self, record: Record) -> list[int]:
        """The record's own prompt. Raises SdftError when the tokenizer has no chat template."""
        return render(self.tokenizer, record.prompt)

    def teacher_prompt(self, record: Record, style: str) -> list[int]:
        """The prompt with the demonstration of that style. Raises SdftError when the record has none."""
        messages = teacher_messages(record.prompt, record.demonstration(style), self.settings.teacher_template)
        return render(self.tokenizer, messages)

    def target(self, record: Record, style: str) -> list[int]:
        """The demonstration of that style as a completion, ended by the end-of-sequence token.

        Where the prompt opens a thinking block, an empty one comes first: a demonstration holds no thinking, and inside
        the block it would not be an answer.
        """
        text = record.demonstration(style)
        check_plain(self.tokenizer, text)
        if self.thinks:
            text = thinking.closed(text)
        return [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id]

    def text(self, record: Record) -> list[int] | None:
        """The content of the record's last message as plain text, ended by the end-of-sequence token.

        A text longer than the model's context is cut from the left or given up (None), as `overlong` says;
        `max_prompt_tokens` has no say. Raises SdftError naming the record when that setting is "error", or when the
        text is too short for a token to be predicted from another.
        """
        check_plain(self.tokenizer, record.prompt[-1]["content"])
        ids = self.tokenizer(record.prompt[-1]["content"])["input_ids"]
        if ids[-1:] != [self.tokenizer.eos_token_id]:
            ids = [*ids, self.tokenizer.eos_token_id]
        if len(ids) < 2:
            raise SdftError(f"record {record.id!r} has no text to train on; remove the row, or give it one.")
        if len(ids) <= self.context:
            return ids
        if self.settings.overlong == "drop":
            return None
        if self.settings.overlong == "truncate_left":
            self.cut.add(record.id)
            return ids[-self.context :]
        raise SdftError(
            f"record {record.id!r}: the text has {len(ids)} tokens, and the model's context holds {self.context}. "
            "Split the text into several rows, or set training.overlong to truncate_left or drop."
        )

    def fit(self, record: Record, what: str, prompt: list[int], completion: int) -> list[int] | None:
        """The prompt within the model's context and `max_prompt_tokens`, beside a completion of that many tokens.

        A longer one is cut from the left or given up (None), as the setting `overlong` says.
        Raises SdftError naming the record when that setting is "error", or when no prompt at all would fit.
        """
        room = self.context - completion
        limit = min(room, self.settings.max_prompt_tokens or room)
        if len(prompt) <= limit:
            return prompt
        if self.settings.overlong == "drop":
            return None
        if self.settings.overlong == "truncate_left" and limit > 0:
            self.cut.add(record.id)
            return prompt[-limit:]
        bound = (
            f"max_prompt_tokens is {limit}"
            if limit < room
            else f"with a completion of up to {completion} tokens that is {len(prompt) + completion}, "
            f"and the model's context holds {self.context}"
        )
        # Where prompts are cut already, no room at all is left for one.
        change = "drop" if self.settings.overlong == "truncate_left" else "truncate_left or drop"
        raise SdftError(
            f"record {record.id!r}: {what} has {len(prompt)} tokens; {bound}. Shorten the row, lower max_new_tokens, "
            f"set training.overlong to {change}, or take a model with a longer context."
        )


def completions_of(examples: list[Example], pad: int, device: torch.device) -> Completions:
    """The examples' own completions (demonstrations), padded on the right."""
    rows = [example.completion for example in examples]
    width = max(len(row) for row in rows)
    tokens = torch.tensor([row + [pad] * (width - len(row)) for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    return Completions(tokens, torch.arange(width, device=device) < lengths[:, None])


def pad_left(prompts: list[list[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Prompts as ids [B, P] that all end in the last column, and their mask [B, P]."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts], device=device)
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    return ids, torch.arange(width, device=device) >= width - lengths[:, None]


def completion_hidden(model: Any, prompts: list[list[int]], completions: Completions, pad: int) -> Tensor:
    """Final hidden states [B, C, d] of `model` (a causal language model): entry t is the one that predicts token t."""
    ids, present = pad_left(prompts, pad, completions.tokens.device)
    # The last token predicts nothing that is trained on.
    ids = torch.cat([ids, completions.tokens[:, :-1]], dim=1)
    present = torch.cat([present, completions.mask[:, :-1]], dim=1)
    width = completions.tokens.shape[1]
    # The method `hidden_states` of a sharded model gathers the weights of each layer before it is used.
    with last_columns(model, width):
        states = getattr(model, "hidden_states", model.base_model)(
            input_ids=ids,
            attention_mask=present.long(),
            position_ids=(present.cumsum(-1) - 1).clamp(min=0),
            use_cache=False,
        ).last_hidden_state
    return states[:, -width:]
