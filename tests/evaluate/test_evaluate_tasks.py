"""Accuracy is the mean of the items' outcomes, and each outcome is the scorer's."""

from __future__ import annotations

import copy
import random
from dataclasses import replace

import pytest

from sdft.common.errors import SdftError
from sdft.evaluate.answers import evaluate_tasks, summary
from sdft.evaluate.responses import Decoding, fit
from sdft.records.prompts import render
from sdft.records.record import Record
from sdft.tasks import score_record

DECODING = Decoding(max_new_tokens=6, batch_size=4)


def question(number: int, words: int) -> Record:
    rng = random.Random(number)
    text = " ".join(f"w{rng.randrange(30)}" for _ in range(words))
    return Record(f"q{number}", [{"role": "user", "content": text}], answer=rng.choice("ABCD"))


@pytest.fixture
def records():
    return [question(number, 3 + number % 9) for number in range(20)]


def test_value_items_and_lengths(model, tokenizer, records):
    result = evaluate_tasks(model, tokenizer, {"science": records}, DECODING)["science"]
    assert [item["id"] for item in result.items] == [record.id for record in records]
    for record, item in zip(records, result.items, strict=True):
        assert item["correct"] == score_record("science", item["response"], record)
        assert item["prompt_tokens"] == len(render(tokenizer, record.prompt))
    assert result.value == result.metrics["accuracy"] == sum(item["correct"] for item in result.items) / 20
    written = [item["new_tokens"] for item in result.items]
    assert result.metrics["new_tokens"] == {**summary(written), "mean": sum(written) / 20}
    assert result.metrics["prompt_tokens"] == {**summary([item["prompt_tokens"] for item in result.items]), "cut": 0}


def test_a_right_response_is_counted(model, tokenizer, records):
    def say_a(_module, _inputs, output):
        output.logits[..., tokenizer.convert_tokens_to_ids("A")] += 1e4

    model.register_forward_hook(say_a)
    result = evaluate_tasks(model, tokenizer, {"science": records}, Decoding(max_new_tokens=1))["science"]
    assert [item["correct"] for item in result.items] == [int(record.answer == "A") for record in records]
    assert 0 < result.value < 1


@pytest.fixture
def thinker(tokenizer):
    """A tokenizer whose chat template opens a thinking block, as Olmo-3-7B-Think's does."""
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.chat_template += "{% if add_generation_prompt %}<think>{% endif %}"
    return tokenizer


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (["w1", "</think>", "A", "<end>"], "A"),
        (["A", "</think>", "B", "<end>"], "B"),
        # Cut while it thinks, or thinking alone: no answer.
        (["A", "A", "A", "A"], None),
        (["A", "</think>", "<end>"], None),
    ],
)
def test_what_is_said_after_the_thinking_is_scored_and_all_of_it_counted(model, thinker, said, answer):
    steps = iter(said)

    def say(_module, _inputs, output):
        output.logits[..., thinker.convert_tokens_to_ids(next(steps))] += 1e4

    model.register_forward_hook(say)
    records = [Record(letter, [{"role": "user", "content": "w2"}], answer=letter) for letter in "ABCD"]
    assert thinker.decode(render(thinker, records[0].prompt)).endswith("<think>")
    result = evaluate_tasks(model, thinker, {"science": records}, Decoding(max_new_tokens=4))["science"]
    assert [item["id"] for item in result.items if item["correct"]] == ([answer] if answer else [])
    assert result.metrics["new_tokens"]["mean"] == len([word for word in said if word != "<end>"])
    # The response is kept whole, so that a judge finds the answer in it too.
    assert all(item["response"].startswith("<think>") for item in result.items)


def test_the_order_of_the_records_does_not_matter(model, tokenizer, records):
    there = evaluate_tasks(model, tokenizer, {"science": records}, DECODING)["science"]
    again = evaluate_tasks(model, tokenizer, {"science": records[::-1]}, DECODING)["science"]
    assert again.items == there.items[::-1]


def test_tool_use_reports_both_rules(model, tokenizer):
    calls = [{"Action": "go", "Action_Input": "{}"}]
    record = Record("a", [{"role": "user", "content": "w1"}], answer=calls)
    result = evaluate_tasks(model, tokenizer, {"tooluse": [record]}, DECODING)["tooluse"]
    assert {"accuracy", "accuracy_strict", "failures_by_action_none"} <= set(result.metrics)
    assert {"correct", "strict", "failed_by_none"} <= set(result.items[0])


def test_a_prompt_that_does_not_fit_is_named_where_nothing_may_be_cut(model, tokenizer, records):
    long = question(99, 70)
    with pytest.raises(SdftError) as caught:
        evaluate_tasks(model, tokenizer, {"science": [*records, long]}, replace(DECODING, overlong="error"))
    message = str(caught.value)
    assert "'q99' has 75 tokens and 63 fit" in message
    assert "context is 64" in message
    assert "--overlong truncate_left" in message


def test_by_default_what_the_context_does_not_hold_is_cut_and_reported(model, tokenizer, records, capsys):
    long = question(99, 70)
    result = evaluate_tasks(model, tokenizer, {"science": [*records, long]}, DECODING)["science"]
    assert result.metrics["prompt_tokens"]["cut"] == 1
    assert "science: 1 of 21 prompts are too long and are cut from the left" in capsys.readouterr().err
    # The rest of the prompt leaves room for a whole response; prompts that fit stay as they are.
    prompts = [render(tokenizer, record.prompt) for record in (*records, long)]
    fitted, cut = fit("science", [*records, long], prompts, DECODING, 64)
    assert (fitted[:-1], sum(cut)) == (prompts[:-1], 1)
    assert fitted[-1] == prompts[-1][-(64 - 6) :]


def test_prompts_are_cut_from_the_left_where_asked(model, tokenizer, records):
    decoding = Decoding(max_new_tokens=6, batch_size=4, max_prompt_tokens=10, overlong="truncate_left")
    result = evaluate_tasks(model, tokenizer, {"science": records}, decoding)["science"]
    over = sum(len(render(tokenizer, record.prompt)) > 10 for record in records)
    assert result.metrics["prompt_tokens"]["cut"] == over > 0
    assert result.metrics["prompt_tokens"]["max"] > 10


def test_the_training_mode_is_left_as_it_was(model, tokenizer, records):
    for mode in (True, False):
        model.train(mode)
        evaluate_tasks(model, tokenizer, {"science": records[:2]}, DECODING)
        assert model.training is mode


def test_summary_of_one_and_of_many():
    assert summary([5]) == {"median": 5, "p90": 5, "max": 5}
    assert summary(list(range(11))) == {"median": 5, "p90": 9.0, "max": 10}
