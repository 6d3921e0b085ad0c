"""Checkpoints on this machine's disk, and a run of the project's own loop that is stopped and continued."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.contact import Verdict
from benchmarks.contact.bench import GIB, Bench
from sdft.common.files import sha256_file, sha256_files, write_json
from sdft.learning.checkpoint import STATE, Checkpoints

WORDS = 64


def storage(bench: Bench) -> Iterator[Verdict]:
    """A checkpoint by the project's own writer, its digest, and reading it, a GiB at a time of what a 7B run writes."""
    gigabytes = 0.01 if bench.tiny else 8
    free = shutil.disk_usage(bench.folder).free / GIB
    gigabytes = min(gigabytes, free / 4)
    tensors = {
        str(number): torch.full((round(gigabytes * GIB) // 8,), number, dtype=torch.bfloat16, device=bench.device)
        for number in range(4)
    }
    checkpoints = Checkpoints(bench.folder / "state", "contact")
    written = bench.seconds(lambda: checkpoints.save(1, {"tensors": tensors}))
    read: list[Any] = []
    loaded = bench.seconds(lambda: read.append(checkpoints.load("cpu")))
    digest = bench.seconds(lambda: sha256_file(bench.folder / "state" / "step-1" / STATE))
    same = read[0][0] == 1 and all(torch.equal(read[0][1]["tensors"][name], own.cpu()) for name, own in tensors.items())
    shutil.rmtree(bench.folder / "state")
    # Student, Adam's moments and average of a run with the arithmetic of Table 5.
    state = bench.parameters(bench.shape["num_hidden_layers"]) * 10 / GIB
    measured = {
        "gib": round(gigabytes, 3),
        "write_and_digest_seconds": round(written, 2),
        "digest_seconds": round(digest, 2),
        "read_seconds": round(loaded, 2),
        "whole_state_gib": round(state, 1),
        "whole_state_write_seconds": round(written * state / gigabytes),
    }
    yield Verdict("storage.checkpoint", "reads what it wrote", measured, same)


def loop(bench: Bench) -> Iterator[Verdict]:
    """Train SDFT with `sdft.learning.run.train`; stop a second one by a signal, continue it: the same weights."""
    from sdft.common.files import read_json
    from sdft.learning.run import train

    spec = _world(bench)
    before = torch.cuda.memory_allocated() / GIB if bench.gpu else 0.0
    seconds = bench.seconds(lambda: train(spec, bench.folder / "whole", quiet=True))
    record = read_json(bench.folder / "whole" / "model.json")
    final = record["final"]
    measured = {"steps": record["steps"], "seconds": round(seconds, 2), "loss": final["loss"]}
    yield Verdict("loop.trains", "finite losses", measured, final["loss"] == final["loss"])
    gc.collect()
    kept = (torch.cuda.memory_allocated() / GIB if bench.gpu else 0.0) - before
    good = kept < 0.1 if bench.gpu else None
    yield Verdict("loop.memory_given_back", "less than 0.1 GiB stays", {"gib": round(kept, 3)}, good)
    status = _stopped(spec, bench.folder / "stopped")
    again = train(spec, bench.folder / "stopped", quiet=True)
    same = again["weights"]["sha256"] == record["weights"]["sha256"]
    yield Verdict("loop.continues", "the same weights", {"exit_status": status, "same": same}, same and status == 143)


def _stopped(spec: Any, out: Path) -> int:
    """Train until the second rollout raises SIGTERM; the exit status."""
    from sdft.learning.loop import Training
    from sdft.learning.spec import Inputs, fingerprint, resolve

    spec = resolve(spec)
    inputs = Inputs(spec)
    out.mkdir()
    training = Training(spec, inputs, out, Checkpoints(out / "state", fingerprint(spec, inputs)), quiet=True)
    sample, calls = training.engine.sample, []

    def stopping(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return sample(*arguments, **options)

    training.engine.sample = stopping
    try:
        training.run()
    except SystemExit as stop:
        return stop.code
    return 0


def _world(bench: Bench) -> Any:
    """A base model with a word tokenizer, rows, and a run of four steps over them."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from sdft.methods.settings import TrainingSettings
    from sdft.records.record import Record, write_records
    from sdft.study.plan import RunSpec

    words = ["<pad>", "</s>", "<unk>", "user", "assistant", "system", *(f"w{number}" for number in range(WORDS))]
    core = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", unk_token="<unk>", eos_token="</s>")
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message['role'] }} {{ message['content'] }} </s> {% endfor %}"
        "{% if add_generation_prompt %}assistant{% endif %}"
    )
    base = bench.folder / "base"
    narrow = {} if bench.tiny else {"hidden_size": 896, "intermediate_size": 4864, "num_attention_heads": 14}
    narrow |= {} if bench.tiny else {"num_key_value_heads": 2, "num_hidden_layers": 8}
    bench.model(**narrow, vocab_size=len(words)).save_pretrained(base)
    tokenizer.save_pretrained(base)
    write_json(bench.folder / "base.json", {"model": "base", "path": str(base), "sha256": sha256_files(base)})
    text = [" ".join(f"w{(7 * row + place) % WORDS}" for place in range(4 + row % 5)) for row in range(16)]
    rows = [Record(f"row-{row}", [{"role": "user", "content": text[row]}], {"expert": text[row]}) for row in range(16)]
    write_records(bench.folder / "train.jsonl", rows)
    return RunSpec(
        id="contact",
        scale="contact",
        study="contact",
        task="contact",
        arm="sdft",
        method="sdft",
        seed=0,
        base="base",
        base_ready=str(bench.folder / "base.json"),
        demonstration="expert",
        hyperparameters={"learning_rate": 1e-3, "batch_size": 8, "epochs": 2, "ema_rate": 0.05},
        settings=TrainingSettings(
            weights_dtype="bfloat16",
            optimizer_dtype="bfloat16",
            max_new_tokens=8,
            micro_batch_size=4,
            gradient_checkpointing=True,
            warmup_steps=1,
        ),
        data={"train": str(bench.folder / "train.jsonl")},
    )
