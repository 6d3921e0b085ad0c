"""What samples completions while a model trains: the decoding loop, in the trained weights themselves."""

from __future__ import annotations

from typing import Any

import torch

from sdft.decoding import Draw, decode, uniforms
from sdft.decoding.sampling import row_seeds
from sdft.losses.encoding import Completions


class GenerateEngine:
    """Sampling with `sdft.decoding`, in the weights that are being trained.

    pad: the id that fills up rows. stop: ids that end a completion and belong to it.
    """

    def __init__(self, pad: int, stop: list[int]) -> None:
        self.pad = pad
        self.stop = stop

    def sample(
        self,
        model: Any,
        prompts: list[list[int]],
        *,
        temperature: float,
        max_new_tokens: int,
        seed: int,
        first_row: int = 0,
    ) -> Completions:
        """As `Engine.sample`. first_row: the number of the first prompt within the step, if these are some of its rows.

        The global random state and the model's mode stay as they were. Raises FloatingPointError when the model's
        distribution is not a number.
        """
        rows = range(first_row, first_row + len(prompts))
        found = decode(
            model,
            prompts,
            stop=self.stop,
            limits=[max_new_tokens] * len(prompts),
            draw=Draw(temperature),
            numbers=uniforms(row_seeds(seed, rows), max_new_tokens),
        )
        mask = torch.arange(found.tokens.shape[1], device=found.tokens.device) < found.lengths[:, None]
        return Completions(found.tokens.masked_fill(~mask, self.pad), mask, found.log_probs)


def stop_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Every id that ends a turn: the tokenizer's end-of-sequence token and those of the model's generation config."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    configured = configured if isinstance(configured, list) else [configured]
    return sorted({tokenizer.eos_token_id, *configured} - {None})
