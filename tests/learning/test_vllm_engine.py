"""What can be shown of the vLLM engine without vLLM: its batches, and a clear refusal."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace

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


@pytest.fixture
def calls(monkeypatch):
    """A module `vllm` that samples one token and notes what is asked of it, in order."""
    noted = []

    class LLM:
        def __init__(self, **options):
            noted.append(("start", options["enable_sleep_mode"]))
            model = SimpleNamespace(load_weights=lambda weights: noted.append(("load", dict(weights))))
            worker = SimpleNamespace(model_runner=SimpleNamespace(model=model))
            self.llm_engine = SimpleNamespace(model_executor=SimpleNamespace(driver_worker=worker))

        def sleep(self, level):
            noted.append(("sleep", level))

        def wake_up(self, tags):
            noted.append(("wake", *tags))

        def reset_prefix_cache(self):
            noted.append(("forget",))

        def generate(self, requests, parameters, use_tqdm):
            noted.append(("generate", [own.seed for own in parameters]))
            one = SimpleNamespace(token_ids=[5], logprobs=[{5: SimpleNamespace(logprob=-0.5)}])
            return [SimpleNamespace(outputs=[one]) for _ in requests]

    class SamplingParams(SimpleNamespace):
        def clone(self):
            return SamplingParams(**vars(self))

    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, SamplingParams
    monkeypatch.setitem(sys.modules, "vllm", module)
    # A step that was promised a GPU sets it for its process.
    monkeypatch.delenv("PYTORCH_CUDA_ALLOC_CONF", raising=False)
    return noted


def test_it_sleeps_between_rollouts_and_gets_the_weights_before_it_takes_its_cache(calls, tmp_path):
    model = torch.nn.Linear(2, 2, bias=False)
    engine = VLLMEngine(tmp_path, 0, [1], 64)
    assert calls == [("start", True), ("sleep", 2)]
    for _ in range(2):
        del calls[:]
        with torch.no_grad():
            model.weight.add_(1)
        found = engine.sample(model, [[3], [4, 4]], temperature=1.0, max_new_tokens=4, seed=7)
        order = [("wake", "weights"), ("wake", "kv_cache"), ("forget",), ("generate", [7, 8]), ("sleep", 2)]
        assert [call for call in calls if call[0] != "load"] == order
        assert calls[1][0] == "load"
        # The trained weights themselves, and no copy of an older step.
        assert calls[1][1]["weight"].data_ptr() == model.weight.data_ptr()
        assert found.tokens.tolist() == [[5], [5]]


def test_an_allocator_that_cannot_give_memory_back_is_refused(calls, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:64,expandable_segments:True")
    with pytest.raises(SdftError, match="expandable_segments"):
        VLLMEngine(tmp_path, 0, [1], 64)
    assert calls == []
