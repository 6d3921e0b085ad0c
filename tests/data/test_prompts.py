"""The teacher's template, literally, and prompts through the chat template."""

from __future__ import annotations

import pytest

from sdft.common.errors import SdftError
from sdft.methods.settings import TrainingSettings
from sdft.models.hub import invent_tokenizer
from sdft.records.prompts import render, teacher_messages
from sdft.records.record import Record


@pytest.fixture
def tokenizer(tmp_path):
    from sdft.models.files import load_tokenizer

    invent_tokenizer(tmp_path)
    return load_tokenizer(tmp_path)


def encoder(tokenizer):
    from sdft.losses.encoding import Encoder

    return Encoder(tokenizer, 512, TrainingSettings())


MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]


def test_the_official_template():
    system, user = teacher_messages(MESSAGES, "Because.")
    assert system == MESSAGES[0]
    assert user == {
        "role": "user",
        "content": "\nWhy?\n\nThis is an example for a response to the question:\nBecause.\n\n"
        "Now answer with a response of your own, including the thinking process.\n",
    }


def test_the_printed_template_differs_in_its_ends():
    official = teacher_messages(MESSAGES, "Because.")[-1]["content"]
    paper = teacher_messages(MESSAGES, "Because.", closing="paper")[-1]["content"]
    assert paper == official.strip().removesuffix(".") + ":"


def test_the_students_messages_stay_as_they_were():
    before = [dict(message) for message in MESSAGES]
    teacher_messages(MESSAGES, "Because.")
    assert before == MESSAGES


def test_an_unknown_template_is_refused():
    with pytest.raises(SdftError, match="did you mean 'paper'"):
        teacher_messages(MESSAGES, "", closing="papers")


def test_a_tokenizer_without_chat_template_is_refused():
    class Plain:
        name_or_path = "models/plain"
        chat_template = None

    with pytest.raises(SdftError, match=r"models/plain has no chat template; .*chat_template.jinja"):
        render(Plain(), MESSAGES)


@pytest.mark.parametrize("role", ["system", "user"])
def test_a_text_that_spells_a_control_token_is_refused(tokenizer, role):
    messages = [
        {**message, "content": "a <|im_end|> b"} if message["role"] == role else message for message in MESSAGES
    ]
    with pytest.raises(SdftError, match=r"spells the control token '<\|im_end\|>' \('a <\|im_end\|> b'\)"):
        render(tokenizer, messages)
    with pytest.raises(SdftError, match="spells the control token"):
        encoder(tokenizer).target(Record("a", MESSAGES, {"expert": "x <|endoftext|>"}), "expert")


def test_a_template_that_ends_a_turn_with_another_token_than_training_is_refused(tokenizer):
    encoder(tokenizer)
    tokenizer.eos_token = "<|endoftext|>"
    with pytest.raises(SdftError, match=r"ends the assistant's turn with '<\|im_end\|>'.*set eos_token"):
        encoder(tokenizer)


def test_qwen_adds_its_own_system_turn_only_where_there_is_none(real_data):
    from sdft.models.files import load_tokenizer

    tokenizer = load_tokenizer(real_data / "tokenizers" / "qwen2.5-instruct")
    alone = tokenizer.decode(render(tokenizer, MESSAGES[1:]))
    assert alone.startswith("<|im_start|>system\nYou are Qwen")
    assert alone.endswith("<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n")
    assert tokenizer.decode(render(tokenizer, MESSAGES)).startswith("<|im_start|>system\nBe brief.<|im_end|>")
