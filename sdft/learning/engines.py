"""What samples completions while a model trains: transformers' generate, in the trained weights themselves."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from sdft.losses.encoding import Completions, pad_left


class GenerateEngine:
    """Sampling with transformers' `generate`, in the weights that are being trained.

    pad: the id that fills up rows. stop: ids that end a completion and belong to it.
    """

    def __init__(self, pad: int, stop: list[int]) -> None:
        self.pad = pad
        self.stop = stop

    def choosers(self, seed: int) -> list[Any]:
        """Logits processors that leave one token each, in place of the draw that `generate` makes."""
        return []

    @torch.no_grad()
    def sample(
        self, model: Any, prompts: list[list[int]], *, temperature: float, max_new_tokens: int, seed: int
    ) -> Completions:
        """As `Engine.sample`. The global random state is left as it was; the model's mode too.

        Raises FloatingPointError when the model's logits are no numbers.
        """
        from transformers import GenerationConfig, LogitsProcessorList

        device = next(model.parameters()).device
        ids, present = pad_left(prompts, self.pad, device)
        plain = GenerationConfig(
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=max_new_tokens,
            pad_token_id=self.pad,
            eos_token_id=self.stop,
            use_cache=True,
        )
        recorder = _Recorder(temperature)
        with _alone(model, plain), torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            with torch.inference_mode():
                output = model.generate(
                    input_ids=ids,
                    attention_mask=present.long(),
                    generation_config=plain,
                    logits_processor=LogitsProcessorList([recorder, *self.choosers(seed)]),
                )
        # A copy, since what inference mode makes cannot take part in the training step.
        output = output.clone()
        tokens = output[:, ids.shape[1] :]
        stops = torch.isin(tokens, torch.tensor(self.stop, device=device))
        mask = stops.cumsum(-1) - stops.long() == 0
        return Completions(tokens.masked_fill(~mask, self.pad), mask, recorder.log_probs(output).masked_fill(~mask, 0))


class _Recorder:
    """A logits processor that applies the temperature and remembers the log-probability of each token chosen.

    It keeps one step's distribution at a time; `output_scores` would keep them all.
    """

    def __init__(self, temperature: float) -> None:
        self.temperature = temperature
        self.chosen: list[Tensor] = []
        self.current: Tensor | None = None

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        self._take(ids)
        self.current = (scores.float() / self.temperature).log_softmax(-1)
        if self.current.isnan().any():
            raise FloatingPointError("the student's next-token distribution is not a number")
        return self.current

    def _take(self, ids: Tensor) -> None:
        if self.current is not None:
            self.chosen.append(self.current.gather(-1, ids[:, -1:])[:, 0])

    def log_probs(self, ids: Tensor) -> Tensor:
        self._take(ids)
        return torch.stack(self.chosen, dim=1)


@contextmanager
def _alone(model: Any, plain: Any):
    """Let `plain` be all that decides sampling.

    `generate` fills what a configuration leaves open from the model's own, and Qwen2.5-Instruct ships a repetition
    penalty and a top-p there, which would sample from another distribution than the one that is trained.
    """
    own, training = model.generation_config, model.training
    model.generation_config = plain
    model.eval()
    try:
        yield
    finally:
        model.generation_config = own
        model.train(training)


def stop_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Every id that ends a turn: the tokenizer's end-of-sequence token and those of the model's generation config."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    configured = configured if isinstance(configured, list) else [configured]
    return sorted({tokenizer.eos_token_id, *configured} - {None})
