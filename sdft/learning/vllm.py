"""Rollouts with vLLM on the trainer's own GPU, in the weights that are being trained.

Never run where it is meant for: no GPU has run it yet.

vLLM has an environment of its own, envs/vllm.yaml. Its probabilities differ a little from the trainer's, which is what
the importance weights of `sdft.losses.importance` correct for. Between rollouts it sleeps (level 2: neither weights nor
cache stay on the card), so that the training step has the memory; it wakes in two parts, since the weights are handed
over before the cache takes what is left.
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
    `GenerateEngine`. context: longest sequence in tokens. Raises SdftError where vLLM is not installed, or torch's
    allocator is set to what cannot sleep.
    """

    def __init__(self, folder: str | Path, pad: int, stop: list[int], context: int) -> None:
        # The weights can be handed over only within one process.
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        try:
            from vllm import LLM
        except ImportError:
            raise SdftError(
                "training.rollout_engine is vllm, which is not installed here: make an environment of envs/vllm.yaml "
                "and start the command in it, or set rollout_engine: transformers."
            ) from None
        for variable in ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"):
            if "expandable_segments:true" in os.environ.get(variable, "").lower():
                raise SdftError(
                    f"{variable} asks for expandable_segments, with which vLLM cannot give its memory back between "
                    "rollouts; unset it, or set rollout_engine: transformers."
                )
        self.pad, self.stop = pad, stop
        self.engine = LLM(
            model=str(folder),
            dtype="bfloat16",
            max_model_len=context,
            gpu_memory_utilization=VLLM_MEMORY_SHARE,
            enable_sleep_mode=True,
            # Log-probabilities after the temperature, as the trainer computes them.
            logprobs_mode="processed_logprobs",
            # The model's own sampling defaults would change the distribution.
            generation_config="vllm",
        )
        self.engine.sleep(level=2)

    def sample(
        self, model: Any, prompts: list[list[int]], *, temperature: float, max_new_tokens: int, seed: int
    ) -> Completions:
        """As `sdft.learning.engines.Engine.sample`; log_probs are vLLM's own."""
        from vllm import SamplingParams

        self._wake(model)
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
        self.engine.sleep(level=2)
        rows = [list(output.outputs[0].token_ids) for output in outputs]
        chosen = [
            [entry[token].logprob for token, entry in zip(row, output.outputs[0].logprobs, strict=True)]
            for row, output in zip(rows, outputs, strict=True)
        ]
        return collect(rows, chosen, self.pad, next(model.parameters()).device)

    def _wake(self, model: Any) -> None:
        # What torch keeps for later, vLLM cannot have.
        torch.cuda.empty_cache()
        self.engine.wake_up(tags=["weights"])
        weights = ((name, value.detach()) for name, value in model.named_parameters())
        worker = self.engine.llm_engine.model_executor.driver_worker
        worker.model_runner.model.load_weights(weights)
        self.engine.wake_up(tags=["kv_cache"])
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
