"""Rollouts with vLLM on the trainer's own GPU, in the weights that are being trained.

Never run where it is meant for: no GPU has run it yet.

vLLM is an optional extra (`pip install vllm`) with a torch of its own choosing. Its probabilities differ a little from
the trainer's, which is what the importance weights of `sdft.losses.importance` correct for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from sdft.common.errors import SdftError
from sdft.losses.encoding import Completions
from sdft.models.memory import VLLM_MEMORY_SHARE


class VLLMEngine:
    """Sampling with vLLM, colocated: the student's weights are handed over before every call.

    folder: the model that training starts from, for its configuration and tokenizer. pad, stop: as for
    `GenerateEngine`. context: longest sequence in tokens. Raises SdftError where vLLM is not installed.
    """

    def __init__(self, folder: str | Path, pad: int, stop: list[int], context: int) -> None:
        # The weights can be handed over only within one process.
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        try:
            from vllm import LLM
        except ImportError:
            raise SdftError(
                "training.rollout_engine is vllm, which is not installed: pip install vllm (it brings its own torch, "
                "so use an environment of its own), or set rollout_engine: transformers."
            ) from None
        self.pad, self.stop = pad, stop
        self.engine = LLM(
            model=str(folder),
            dtype="bfloat16",
            max_model_len=context,
            gpu_memory_utilization=VLLM_MEMORY_SHARE,
            # Log-probabilities after the temperature, as the trainer computes them.
            logprobs_mode="processed_logprobs",
            # The model's own sampling defaults would change the distribution.
            generation_config="vllm",
        )

    def sample(
        self, model: Any, prompts: list[list[int]], *, temperature: float, max_new_tokens: int, seed: int
    ) -> Completions:
        """As `sdft.learning.engines.Engine.sample`; log_probs are vLLM's own."""
        from vllm import SamplingParams

        self._hand_over(model)
        parameters = SamplingParams(
            n=1,
            temperature=temperature,
            top_p=1.0,
            top_k=-1,
            max_tokens=max_new_tokens,
            stop_token_ids=self.stop,
            seed=seed,
            logprobs=0,
            detokenize=False,
        )
        requests = [{"prompt_token_ids": prompt} for prompt in prompts]
        outputs = self.engine.generate(
            requests, [_with_seed(parameters, seed + n) for n in range(len(prompts))], use_tqdm=False
        )
        rows = [list(output.outputs[0].token_ids) for output in outputs]
        chosen = [
            [entry[token].logprob for token, entry in zip(row, output.outputs[0].logprobs, strict=True)]
            for row, output in zip(rows, outputs, strict=True)
        ]
        return collect(rows, chosen, self.pad, next(model.parameters()).device)

    def _hand_over(self, model: Any) -> None:
        weights = ((name, value.detach()) for name, value in model.named_parameters())
        worker = self.engine.llm_engine.model_executor.driver_worker
        worker.model_runner.model.load_weights(weights)
        self.engine.reset_prefix_cache()


def _with_seed(parameters: Any, seed: int) -> Any:
    """The same parameters with a prompt's own seed, without which equal prompts would get equal samples."""
    own = parameters.clone()
    own.seed = seed & (2**63 - 1)
    return own


def collect(rows: list[list[int]], log_probs: list[list[float]], pad: int, device: torch.device) -> Completions:
    """Sampled ids and their log-probabilities as one padded batch. An empty sample becomes one masked column."""
    width = max(1, *(len(row) for row in rows))
    tokens = torch.full((len(rows), width), pad, device=device)
    mask = torch.zeros((len(rows), width), dtype=torch.bool, device=device)
    values = torch.zeros((len(rows), width), device=device)
    for number, (row, chosen) in enumerate(zip(rows, log_probs, strict=True)):
        tokens[number, : len(row)] = torch.tensor(row, device=device, dtype=tokens.dtype)
        mask[number, : len(row)] = True
        values[number, : len(row)] = torch.tensor(chosen, device=device)
    return Completions(tokens, mask, values)
