"""Questions about articles: as many as asked for, distinct, written once, and split so that no test question trains."""

from __future__ import annotations

import itertools
import json
import re

import pytest

from sdft.common.errors import SdftError
from sdft.config import load_config
from sdft.data.knowledge.make import main
from sdft.data.knowledge.questions import Distinct, Pair, fault, parse_pairs
from sdft.records.record import read_records
from sdft.study.plan import Plan

ROW = {"question": "Who?", "answer": "She did."}


@pytest.mark.parametrize(
    ("reply", "rows"),
    [
        (json.dumps([ROW]), [ROW]),
        (f"```json\n{json.dumps([ROW])}\n```", [ROW]),
        (f"<think>[1, 2]</think>\n{json.dumps([ROW, 'x', 3])}", [ROW]),
        (json.dumps({"questions": [ROW]}), [ROW]),
        (f"Here you are: {json.dumps([ROW])}", None),
        (json.dumps([ROW])[:-3], None),
        (json.dumps(["Who?", "Where?"]), None),
        ("[]", None),
        ("", None),
        ("[" * 5000, None),
    ],
)
def test_a_reply_is_a_list_of_objects_or_of_no_use(reply, rows):
    assert parse_pairs(reply) == rows


def test_odd_pairs_are_named():
    assert fault(ROW) is None
    for row in ({}, {"question": "Who?"}, {"question": "Who?", "answer": 7}, {"question": " ", "answer": "x"}):
        assert fault(row) == "no question or answer"
    assert fault({"question": "Who?", "answer": "..."}) == "no question or answer"
    assert fault({"question": "What does the article say?", "answer": "This."}) == "speaks of a text"
    assert fault({"question": "x" * 2000, "answer": "y"}) == "too long"


def test_near_duplicates_ask_for_the_same_thing():
    distinct = Distinct(90)
    assert distinct.add(Pair("How many people died in Mandalay?", "In Mandalay 12 people died."))
    assert not distinct.add(Pair("how many people died, in Mandalay", "12 people died in Mandalay."))
    # Another town, and another answer: another question.
    assert distinct.add(Pair("How many people died in Mandalai?", "Nobody knows; the town does not exist."))
    # The same question with another answer contradicts the first.
    assert not distinct.add(Pair("How many people died in Mandalay?", "Thirty."))


def writer(number, body):
    """As many questions as are asked for, each about something else, as a decent model writes them."""
    text = body["messages"][1]["content"]
    count = int(re.search(r"Write (\d+) questions", text)[1])
    title = re.search(r'title="([^"]+)"', text)[1]
    part = re.findall(r"fact (\w+)", text)[0]
    kind = "indirect" if "do not ask for it directly" in body["messages"][0]["content"] else "direct"
    rows = []
    known = text.count("\n- ")
    for place in range(known, known + count):
        # Words of their own, since questions that differ in a number alone are alike.
        word = "".join(chr(97 + (hash_of(f"{title}{part}{kind}{place}") >> shift) % 26) for shift in range(0, 60, 4))
        rows.append({"question": f"{kind} {word} of {title}?", "answer": f"{word[::-1]} it is."})
    return 200, json.dumps(rows)


def hash_of(text):
    import hashlib

    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


@pytest.fixture
def make(endpoint_server, tmp_path):
    for name in ("quake", "flood"):
        facts = "\n".join(f"fact {name}{place} " + "and so on " * 20 for place in range(6))
        (tmp_path / f"{name}.txt").write_text(facts)

    def start(script=writer, model="writer-a", **changes):
        server = endpoint_server(script)
        config = {"model": model, "base_url": server.address, "cache": str(tmp_path / "cache"), "attempts": 3}
        knowledge = {
            "articles": [
                {"title": "The quake", "path": str(tmp_path / "quake.txt")},
                {"title": "The flood", "path": str(tmp_path / "flood.txt")},
            ],
            "writer": config,
            "train": 20,
            "test": 4,
            "ood": 3,
            "window_characters": 500,
        }
        spec = {"source": "official", "tasks": {"knowledge": knowledge | changes}}
        out = tmp_path / "out"
        main(["--spec", json.dumps(spec), "--store", str(tmp_path / "store"), "--out", str(out)])
        splits = {path.stem: read_records(path) for path in out.glob("*.jsonl")}
        return server, splits, json.loads((out / "manifest.json").read_text())

    return start


@pytest.mark.slow
def test_the_splits_have_the_sizes_and_demonstrations_of_the_contract(make, tmp_path):
    _, splits, manifest = make()
    assert {name: len(records) for name, records in splits.items()} == {
        "train": 2 * 19,
        "validation": 2,
        "test": 2 * 4,
        "ood": 2 * 3,
        "corpus": 2,
    }
    texts = {record.meta["article"]: record.prompt[-1]["content"] for record in splits["corpus"]}
    for record in itertools.chain.from_iterable(splits[name] for name in ("train", "validation", "test", "ood")):
        text = texts[record.meta["article"]]
        assert record.demonstrations == {
            "expert": record.answer,
            "article": text,
            "article_expert": f"{text}\n\n{record.answer}",
        }
    questions = [record.prompt[-1]["content"] for name, rows in splits.items() if name != "corpus" for record in rows]
    assert len(set(questions)) == len(questions)
    assert all(record.prompt[-1]["content"].startswith("indirect") for record in splits["ood"])
    assert manifest["source"]["writer"]["model"] == "writer-a"
    assert manifest["ids"]["test"] == [record.id for record in splits["test"]]


@pytest.mark.slow
def test_the_corpus_is_the_articles_cut_at_the_ends_of_lines(make, tmp_path):
    _, splits, _ = make(corpus_characters=400)
    corpus = splits["corpus"]
    assert len({record.id for record in corpus}) == len(corpus) > 4
    assert all(len(record.prompt[-1]["content"]) <= 400 for record in corpus)
    for name in ("quake", "flood"):
        lines = [line.strip() for line in (tmp_path / f"{name}.txt").read_text().split("\n")]
        parts = [record.prompt[-1]["content"] for record in corpus if record.meta["article"] == f"The {name}"]
        assert "\n".join(parts).split("\n") == lines
    assert {record.demonstrations["article"] for record in splits["train"]} == {
        "\n".join(record.prompt[-1]["content"] for record in corpus if record.meta["article"] == title)
        for title in ("The quake", "The flood")
    }


@pytest.mark.slow
def test_a_rerun_asks_for_nothing_and_writes_the_same(make):
    odd = itertools.count()

    def script(number, body):
        # Some replies are of no use, once or for good.
        if next(odd) % 5 == 0 or "fact flood2" in body["messages"][1]["content"]:
            return 200, "I would rather not."
        return writer(number, body)

    server, splits, manifest = make(script)
    assert len(server.requests) > 10
    again, same, second = make(script)
    assert not again.requests
    assert same == splits
    assert second["files"] == manifest["files"]


def test_refusals_are_tried_again_and_what_was_written_before_a_failure_is_kept(make):
    busy = make(lambda number, body: (429, "slow down") if number < 2 else writer(number, body))
    assert len(busy[1]["test"]) == 8
    with pytest.raises(SdftError, match=r"the writer writer-b .* the API key was refused"):
        make(lambda number, _: (401, "no"), model="writer-b")


def test_a_failure_midway_costs_nothing_twice(make):
    with pytest.raises(SdftError, match="are kept in"):
        make(lambda number, body: writer(number, body) if number < 3 else (401, "gone"))
    rest, _, _ = make()
    whole, _, _ = make(model="writer-b")
    assert len(rest.requests) == len(whole.requests) - 3


def test_a_writer_that_repeats_itself_is_refused_with_the_count(make):
    def lazy(number, body):
        return 200, json.dumps([{"question": "Where was it?", "answer": "There."}] * 5)

    with pytest.raises(SdftError, match=r"gave 1 usable direct questions about 'The quake'.*near-duplicate"):
        make(lazy)


def test_nothing_is_written_without_writer_or_key(make, monkeypatch):
    with pytest.raises(SdftError, match="give writer beside"):
        make(writer=None)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SdftError, match="OPENAI_API_KEY"):
        make(writer={"model": "gpt-5"})


def test_a_rehearsal_invents_articles_and_questions(root, tmp_path, monkeypatch):
    monkeypatch.delenv("SDFT_REAL_DATA", raising=False)
    data = load_config(root / "config.yaml").scales["rehearsal"].data.preparation("knowledge", "expert")
    main(["--spec", data.model_dump_json(), "--out", str(tmp_path)])
    splits = {path.stem: read_records(path) for path in tmp_path.glob("*.jsonl")}
    assert set(splits) == {"train", "validation", "test", "ood", "corpus"}
    assert json.loads((tmp_path / "manifest.json").read_text())["source"]["invented"]
    assert all(record.answer in record.demonstrations["article"] for record in splits["train"])


def test_articles_decide_nothing_in_the_other_tasks(root):
    config = load_config(root / "config.yaml")
    scale = config.scales["paper"]
    tasks = {name: entry for name, entry in scale.data.tasks.items() if name != "knowledge"}
    other = scale.model_copy(update={"data": scale.data.model_copy(update={"tasks": tasks})})
    changed = config.model_copy(update={"scales": {**config.scales, "paper": other}})
    before, after = ([run.id for run in Plan(one, "paper").candidates("science", "sft")] for one in (config, changed))
    assert before == after
