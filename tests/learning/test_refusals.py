"""What cannot work is refused in seconds, before a model is loaded or a step is trained."""

from __future__ import annotations

import json
import os

import pytest
from conftest import make_records, make_spec

from sdft import train as trainer
from sdft.common.errors import SdftError
from sdft.common.files import write_json
from sdft.evaluate import __main__ as evaluate
from sdft.evaluate import distance, passk, sandbox, trajectory
from sdft.learning import candidate, flops
from sdft.models import devices
from sdft.models.devices import Gpu
from sdft.records.record import write_records


@pytest.fixture
def cards(monkeypatch):
    """Replaces what torch says of this machine's GPUs."""

    def have(*found, reason=None):
        monkeypatch.setattr(devices, "usable_gpus", lambda most=None: (list(found), reason))

    return have


@pytest.fixture
def files(world, tmp_path):
    write_json(tmp_path / "run.json", make_spec(world).model_dump(mode="json"))
    write_records(tmp_path / "validation.jsonl", make_records(6))
    return tmp_path


PROGRAMS = """task: own_programs
dataset_path: json
unsafe_code: true
test_split: test
output_type: generate_until
doc_to_text: "{{prompt}}"
doc_to_target: ""
generation_kwargs: {until: ["<end>"], max_gen_toks: 4, do_sample: false}
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""


def train(files, *more):
    trainer.main(["--run", str(files / "run.json"), "--out", str(files / "out"), "--quiet", *more])


def sweep(files, prior, *more):
    paths = {"run": "run.json", "validation": "validation.jsonl", "out": "validation.json"}
    options = [part for name, path in paths.items() for part in (f"--{name}", str(files / path))]
    candidate.main([*options, "--prior-config", json.dumps(prior), "--max-new-tokens", "4", *more])


MEASURES = {
    evaluate: ["--model", "m", "--task", "science", "--out", "o"],
    trajectory: ["--model", "m", "--task", "science", "--out", "o"],
    passk: ["--model", "m", "--task", "science", "--data", "d", "--out", "o"],
    distance: ["--model", "m", "--base", "m", "--task", "science", "--data", "d", "--out", "o"],
    flops: ["--run", "r", "--out", "o"],
}


def test_a_step_that_was_promised_a_gpu_does_not_work_on_the_cpu(files, cards, monkeypatch):
    cards(reason="The NVIDIA driver on your system is too old (found version 12020)")
    monkeypatch.setattr(devices, "driver_version", lambda: "535.104.05")
    steps = [lambda: train(files, "--gpus", "1"), lambda: sweep(files, {"tasks": {}}, "--gpus", "1")]
    steps += [lambda step=step, given=given: step.main([*given, "--gpus", "1"]) for step, given in MEASURES.items()]
    for step in steps:
        with pytest.raises(SdftError, match="promised 1 GPU and torch can use none") as refused:
            step()
        for word in ("too old (found version 12020)", "driver: 535.104.05", "built for", "--index-url", "gpus: 0"):
            assert word in str(refused.value)
    assert not (files / "out").exists()
    assert not (files / "candidate").exists()


def test_without_a_promise_a_step_takes_what_there_is(files, cards):
    cards()
    train(files, "--gpus", "0")
    assert (files / "out/model.json").exists()


def test_some_of_the_promised_gpus_are_not_enough(cards):
    cards(Gpu("H100", 79.6), reason="CUDA error: uncorrectable ECC error")
    with pytest.raises(SdftError, match=r"promised 2 GPUs and torch can use 1 \(CUDA error: uncorrectable ECC"):
        devices.require_gpus(2)
    assert devices.require_gpus(1) == [Gpu("H100", 79.6)]


def test_memory_of_a_gpu_grows_in_place_except_beside_vllm_and_as_the_user_says(cards, monkeypatch):
    cards(Gpu("H100", 79.6))
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "")
    del os.environ["PYTORCH_CUDA_ALLOC_CONF"]
    devices.require_gpus(1, growing=False)
    assert "PYTORCH_CUDA_ALLOC_CONF" not in os.environ
    devices.require_gpus(1)
    assert os.environ["PYTORCH_CUDA_ALLOC_CONF"] == "expandable_segments:True"
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:64")
    devices.require_gpus(1)
    assert os.environ["PYTORCH_CUDA_ALLOC_CONF"] == "max_split_size_mb:64"


def test_this_machine_is_asked_through_torch(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.usable_gpus() == ([], None)
    # A driver that lists a device on which nothing can be computed.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    found, reason = devices.usable_gpus()
    if not torch.backends.cuda.is_built():
        assert not found
        assert reason


def test_a_card_that_is_too_small_is_refused_before_anything_is_loaded(files, cards, monkeypatch):
    cards(Gpu("T4", 0.00001))
    for step in (lambda: train(files, "--gpus", "1"), lambda: sweep(files, {"tasks": {}}, "--gpus", "1")):
        with pytest.raises(SdftError, match=r"T4 has 0\.0, of which 95 % can be used. Nothing was loaded"):
            step()
    assert not (files / "out").exists()
    cards(Gpu("H200", 139.8))
    train(files, "--gpus", "1")


@pytest.mark.slow
def test_no_step_is_trained_where_the_replies_could_not_be_scored(files, monkeypatch):
    trained = []
    monkeypatch.setattr(candidate, "train", lambda *_, **__: trained.append(1))
    monkeypatch.setattr(sandbox.cage, "why_not", lambda mode: "there is no cage on this machine.")
    (files / "tasks").mkdir()
    (files / "tasks/own_programs.yaml").write_text(PROGRAMS)
    (files / "humaneval.jsonl").write_text('{"id": "a", "prompt": "w1"}\n')
    human = {"tasks": {"humaneval": {"task": "own_programs", "metric": "acc"}}}
    with pytest.raises(SdftError, match="there is no cage on this machine"):
        sweep(files, human | {"include_path": str(files / "tasks"), "data_dir": str(files)})
    choice = {"tasks": {"mmlu": {"task": "mini_mmlu", "metric": "acc"}}}
    with pytest.raises(SdftError, match=r"mmlu.jsonl does not exist; make the benchmark data first"):
        sweep(files, choice | {"include_path": "sdft/miniature/benchmarks", "data_dir": str(files)})
    (files / "mmlu.jsonl").write_text('{"id": "a", "prompt": "w1", "choices": ["w2", "w3"], "answer": 0}\n')
    wrong = {"tasks": {"mmlu": {"task": "mini_mmlu", "metric": "acuracy"}}}
    with pytest.raises(SdftError, match=r"mmlu has no metric 'acuracy'; did you mean 'acc'"):
        sweep(files, wrong | {"include_path": "sdft/miniature/benchmarks", "data_dir": str(files)})
    assert not trained
