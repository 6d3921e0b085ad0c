"""The tokenizer holds every word of the world and of the paper's template, and refuses the others."""

from __future__ import annotations

import random

import pytest

from sdft.common.errors import SdftError
from sdft.miniature.documents import MIXTURE, tokens
from sdft.miniature.tokenizer import END, UNKNOWN, chat_prompt, encode, make_tokenizer, vocabulary
from sdft.miniature.world import make_world
from sdft.records.prompts import render, teacher_messages


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def test_text_survives_a_round_trip(tokenizer):
    text = 'Thought: okay , so we call find_route . Action: find_route Action Input: { "place": "a" }'.replace(
        '"a" ', ""
    )
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_saved_tokenizer_is_the_same(tokenizer, tmp_path):
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    messages = [{"role": "user", "content": "what forms when"}]
    assert render(loaded, messages) == render(tokenizer, messages)
    assert (loaded.eos_token, loaded.padding_side) == (END, "left")


def test_documents_and_the_chat_template_agree(tokenizer):
    question = "what is the capital of"
    assert encode(chat_prompt(question)) == render(tokenizer, [{"role": "user", "content": question}])


@pytest.mark.parametrize("closing", ["official", "paper"])
def test_the_teacher_template_has_no_unknown_word(tokenizer, closing):
    messages = teacher_messages([{"role": "user", "content": "quiz :"}], "hence", closing)
    assert tokenizer.unk_token_id not in render(tokenizer, messages)


def test_an_unknown_word_is_refused_by_name():
    with pytest.raises(SdftError, match="'xylophone'"):
        encode("okay , xylophone")


def test_words_are_distinct_and_few():
    words = vocabulary()
    assert len(words) == len(set(words)) < 1000
    assert UNKNOWN in words


@pytest.mark.parametrize("kind", MIXTURE)
def test_every_kind_of_document_fits_and_teaches_something(kind):
    world, rng = make_world(), random.Random(0)
    for _ in range(100):
        ids, given = tokens(MIXTURE[kind][1](world, rng), world)
        assert 0 <= given < len(ids) <= 160
        assert ids[-1] == encode(END)[0]


def test_another_world_has_other_names():
    assert set(vocabulary(1)) != set(vocabulary(0))
    assert len(vocabulary(1)) == len(vocabulary(0))
