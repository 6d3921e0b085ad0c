"""A world small enough to train in a second: a word tokenizer, a two-layer Qwen2 and a few records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sdft.common.files import sha256_files, write_json
from sdft.methods import find_method
from sdft.records.record import Record, write_records
from sdft.study.plan import RunSpec

WORDS = [f"w{number}" for number in range(40)]
TEMPLATE = (
    "{% for message in messages %}<s> {{ message['role'] }} {{ message['content'] }} </s> {% endfor %}"
    "{% if add_generation_prompt %}<s> assistant{% endif %}"
)


def make_tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<unk>", "<s>", "</s>", "system", "user", "assistant", *WORDS]
    core = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", unk_token="<unk>", eos_token="</s>", padding_side="left"
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def make_model(seed: int = 0, **changes):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    options = {
        "vocab_size": 47,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 128,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": 3,
        "pad_token_id": 0,
        # Wide initial weights, so that distributions are far from uniform and a few steps change them.
        "initializer_range": 0.3,
    }
    return Qwen2ForCausalLM(Qwen2Config(**options | changes)).eval()


def make_base(folder: Path, seed: int = 0, **changes) -> Path:
    """Save a base model and return its ready.json."""
    make_model(seed, **changes).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    write_json(
        folder.parent / f"{folder.name}.json",
        {"model": folder.name, "path": str(folder), "sha256": sha256_files(folder), "manifest": {}},
    )
    return folder.parent / f"{folder.name}.json"


def make_records(count: int = 12) -> list[Record]:
    return [
        Record(
            f"row-{number}",
            [{"role": "user", "content": " ".join(WORDS[(number + step) % 40] for step in range(3 + number % 4))}],
            {"shared": " ".join(WORDS[(number * 3 + step) % 40] for step in range(2 + number % 5))},
            WORDS[number],
        )
        for number in range(count)
    ]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """A folder with base.json (base model), train.jsonl, prompts.jsonl and corpus.jsonl; tests only read it."""
    folder = tmp_path_factory.mktemp("world")
    make_base(folder / "base")
    write_records(folder / "train.jsonl", make_records())
    write_records(folder / "prompts.jsonl", [Record(r.id, r.prompt) for r in make_records(8)])
    write_records(folder / "corpus.jsonl", [Record(r.id, r.prompt) for r in make_records(8)])
    return folder


def make_spec(world: Path, method: str = "sdft", **changes) -> RunSpec:
    """A run over `world`: 3 batches of 4 rows, 2 epochs. Changes to settings and hyper-parameters go by their names."""
    values = {
        "learning_rate": 0.01,
        "batch_size": 4,
        "epochs": 2,
        "ema_rate": 0.05 if find_method(method).averages else None,
    }
    settings = {"max_new_tokens": 6, "warmup_steps": 1, "skip_tokens": 1, "compute_dtype": "float32"}
    fields = {
        "id": f"{method}-test",
        "scale": "smoke",
        "study": "test",
        "task": "science",
        "arm": method,
        "method": method,
        "seed": 0,
        "base": "base",
        "base_ready": str(world / "base.json"),
        "demonstration": "shared",
        "data": {name: str(world / f"{name}.jsonl") for name in ("train", "prompts", "corpus")},
    }
    for name, value in changes.items():
        place = values if name in values else fields if name in RunSpec.model_fields else settings
        place[name] = value
    if settings.get("weights_dtype") == "bfloat16":
        settings["compute_dtype"] = "bfloat16"
    return RunSpec.model_validate({"hyperparameters": values, "settings": settings} | fields)


def read_metrics(folder: Path) -> list[dict]:
    return [json.loads(row) for row in (folder / "metrics.jsonl").read_text().splitlines()]
