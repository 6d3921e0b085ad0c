"""What can be shown of the vLLM engine without vLLM: its batches, and a clear refusal."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from sdft.common.errors import SdftError
from sdft.learning.vllm import VLLMEngine, collect
from sdft.losses.importance import importance_weights


def test_samples_of_any_length_become_one_masked_batch():
    found = collect([[5, 6, 2], [2], []], [[-1.0, -2.0, -0.5], [-3.0], []], pad=0, device=torch.device("cpu"))
    assert found.tokens.tolist() == [[5, 6, 2], [2, 0, 0], [0, 0, 0]]
    assert found.mask.sum(-1).tolist() == [3, 1, 0]
    assert found.log_probs[0].tolist() == [-1.0, -2.0, -0.5]
    # The correction reads them as it reads the other engine's: equal probabilities weigh 1, also without a token.
    assert importance_weights(found.log_probs, found.log_probs, found.mask, 2.0).flatten().tolist() == [1, 1, 1]


def test_all_samples_empty_still_make_a_batch():
    found = collect([[], []], [[], []], pad=0, device=torch.device("cpu"))
    assert found.tokens.shape == (2, 1)
    assert not found.mask.any()


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here")
def test_without_vllm_the_remedy_is_named(tmp_path):
    with pytest.raises(SdftError, match="rollout_engine: transformers"):
        VLLMEngine(tmp_path, 0, [1], 64)
