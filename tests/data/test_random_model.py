"""Random-weight models of the paper's architectures are whole models, and their weights follow the seed."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from sdft.common.errors import SdftError
from sdft.models.hub import invent_tokenizer
from sdft.models.random_weights import ARCHITECTURES, make
from sdft.records.thinking import opening


@pytest.fixture
def tokenizer_folder(tmp_path):
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<end>", *(f"w{number}" for number in range(150))]
    core = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<pad>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="<end>")
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_made_model_loads_with_its_tokenizer(tokenizer_folder, tmp_path, architecture):
    from sdft.evaluate.generate import generate
    from sdft.models.files import find_model, load_model, load_tokenizer

    files = find_model(make(architecture, tokenizer_folder, tmp_path / "model", context=64, layers=2))
    model, tokenizer = load_model(files.folder), load_tokenizer(files.folder)
    assert model.config.model_type == architecture
    assert model.config.vocab_size == 256
    assert model.config.max_position_embeddings == 64
    prompt = tokenizer("w1 w2 w3")["input_ids"]
    (completion,) = generate(model, [prompt], end={1}, max_new_tokens=3, batch_size=1)
    assert completion.finished or len(completion.tokens) == 3


def test_a_model_that_thinks_says_so_in_its_chat_template(tmp_path):
    from sdft.models.files import load_tokenizer

    invent_tokenizer(tmp_path / "tokenizer")
    for thinks in (False, True):
        folder = make("olmo3", tmp_path / "tokenizer", tmp_path / str(thinks), thinking=thinks).parent
        assert opening(load_tokenizer(folder)) == ("<think>" if thinks else "")


def test_weights_follow_the_seed(tokenizer_folder, tmp_path):
    def weights(name, seed):
        return (make("qwen2", tokenizer_folder, tmp_path / name, seed=seed).parent / "model.safetensors").read_bytes()

    assert weights("a", 1) == weights("b", 1) != weights("c", 2)


def test_refusals(tokenizer_folder, tmp_path):
    with pytest.raises(SdftError, match="did you mean 'qwen2'"):
        make("qwen", tokenizer_folder, tmp_path / "model")
    with pytest.raises(SdftError, match="cannot hold the tokenizer's 152 tokens"):
        make("qwen2", tokenizer_folder, tmp_path / "model", vocabulary=100)
    with pytest.raises(SdftError, match="holds no tokenizer"):
        make("qwen2", tmp_path / "absent", tmp_path / "model")
