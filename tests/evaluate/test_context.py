"""What stands in the prompt beside the question, and how knowledge is scored."""

from __future__ import annotations

import pytest

from sdft.common.errors import SdftError
from sdft.evaluate.questions import in_context, read_items
from sdft.records.prompts import teacher_messages
from sdft.records.record import Record, write_records
from sdft.scoring import knowledge
from sdft.tasks import score_record

TEXTS = {"shared": "w1 w2", "article": "w3 w4"}


def fact(number: int, answer: str, relation: str = "river", **more) -> Record:
    prompt = [{"role": "system", "content": "w0"}, {"role": "user", "content": f"w9 w{number} ?"}]
    return Record(f"k{number}", prompt, answer=answer, meta={"key": [f"land{number}", relation]}, **more)


def test_a_demonstration_comes_through_the_teacher_s_template():
    record = fact(1, "w5", demonstrations=TEXTS)
    for template in ("official", "paper"):
        asked = in_context(record, "shared", template)
        assert asked.prompt == teacher_messages(record.prompt, "w1 w2", template)
    assert (asked.id, asked.answer) == (record.id, record.answer)
    assert in_context(record, None) is record


def test_an_article_stands_ahead_of_the_question_and_is_no_demonstration():
    record = fact(1, "w5", demonstrations=TEXTS)
    asked = in_context(record, "article")
    assert asked.prompt[:-1] == record.prompt[:-1]
    assert asked.prompt[-1]["content"].split() == ["w3", "w4", *record.prompt[-1]["content"].split()]


def test_the_miniature_article_is_asked_in_the_form_of_pre_training():
    from sdft.miniature.data import Size, task_records
    from sdft.miniature.tokenizer import chat_prompt, encode, make_tokenizer
    from sdft.miniature.world import make_world
    from sdft.records.prompts import render

    size = Size(symbols=8, train=8, validation=8, test=8)
    for record in task_records(make_world(), "knowledge", size)["ood"]:
        text = f"{record.demonstration('article')} {record.prompt[-1]['content']}"
        assert render(make_tokenizer(), in_context(record, "article").prompt) == encode(chat_prompt(text))


def test_a_record_without_that_context_is_named():
    with pytest.raises(SdftError, match="'k1' has no demonstration of style 'expert'"):
        in_context(fact(1, "w5", demonstrations=TEXTS), "expert")


def test_an_answer_beside_another_answer_of_its_relation_is_wrong():
    records = [fact(1, "w5"), fact(2, "w6"), fact(3, "w7", relation="capital"), fact(4, "w5")]
    known = knowledge.with_rivals(records)
    assert [record.meta["rivals"] for record in known] == [["w6"], ["w5"], [], ["w6"]]
    for response, right in {"it is w5": 1, "w5 or w6": 0, "w6": 0, "w5 and w7": 1, "": 0}.items():
        assert score_record("knowledge", response, known[0]) == right
    assert score_record("knowledge", "w5 or w6", records[0]) == 1


def test_rivals_do_not_depend_on_the_limit(tmp_path):
    write_records(tmp_path / "test.jsonl", [fact(1, "w5"), fact(2, "w6")])
    (record,) = read_items("knowledge", tmp_path / "test.jsonl", limit=1)
    assert record.meta["rivals"] == ["w6"]


def test_records_without_a_relation_have_no_rivals():
    plain = Record("k", [{"role": "user", "content": "w1"}], answer="w5", meta={"key": ["w1"]})
    assert knowledge.with_rivals([plain, fact(2, "w6")])[0] is plain
