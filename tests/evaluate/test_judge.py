"""The judge's label is taken by equality, its failures are mended or named, and nothing is asked twice."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from sdft.common import endpoint
from sdft.common.endpoint import Endpoint
from sdft.common.errors import SdftError
from sdft.evaluate.judge import Response, judge_all, kappa, main, parse_label, prompt, rubric
from sdft.evidence.scores import Scores
from sdft.records.record import Record, write_records
from sdft.study.schema import Judge

MEDICAL, KNOWLEDGE = rubric("medical").labels, rubric("knowledge").labels


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("CORRECT", "CORRECT"),
        ("incorrect", "INCORRECT"),
        (" **Correct.**\n", "CORRECT"),
        ('"INCORRECT"', "INCORRECT"),
        ("partially correct", "PARTIALLY_CORRECT"),
        ("Partially-Correct", "PARTIALLY_CORRECT"),
        ("<think>INCORRECT? no</think>\nCORRECT", "CORRECT"),
        ("\uff23\uff2fRRECT", "CORRECT"),
        ("not correct", None),
        ("IN CORRECT", None),
        ("in-correct", None),
        ("CORRECT INCORRECT", None),
        ("The answer is CORRECT", None),
        ("", None),
        ("<think>CORRECT", None),
    ],
)
def test_a_reply_is_a_label_only_by_equality(reply, label):
    assert parse_label(reply, KNOWLEDGE) == label


def test_no_odd_reply_counts_as_correct():
    """1,000 replies that do not say CORRECT and nothing else."""
    chance = random.Random(0)
    words = [
        "IN",
        "NOT",
        "in",
        "un",
        "PARTIALLY",
        "CORRECT",
        "INCORRECT",
        "the label",
        "is",
        "?",
        "no:",
        "A",
        "1",
        "nearly",
    ]
    glue = ["", " ", "_", "-", "\n", ". ", "**", "</b>", "/"]
    seen = 0
    while seen < 1000:
        parts = chance.choices(words, k=chance.randrange(1, 6))
        reply = "".join(part + chance.choice(glue) for part in parts)
        letters = "".join(filter(str.isalnum, reply)).upper()
        if letters == "CORRECT":
            continue
        seen += 1
        found = parse_label(reply, KNOWLEDGE)
        assert found != "CORRECT", reply
        assert found in (None, *KNOWLEDGE)
        if found:
            assert found.replace("_", "") == letters.removesuffix("B")


def test_kappa_is_cohens():
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, expected 0.5.
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert kappa(first, second) == pytest.approx(0.4)
    assert kappa(first, first) == pytest.approx(1.0)
    assert kappa(["yes"] * 3, ["yes"] * 3) is None
    assert kappa([None], ["yes"]) is None


@pytest.fixture
def serve(endpoint_server, tmp_path, monkeypatch):
    monkeypatch.setattr(endpoint, "PAUSES", (0.01, 0.01, 0.01))

    def start(script, **options):
        server = endpoint_server(script)
        config = {"model": "judge-a", "base_url": server.address, "cache": str(tmp_path / "cache"), "parallel": 4}
        return server, Judge(**config | options)

    return start


ITEMS = [Response(f"medical-{n}", f"question {n}", f"reference {n}", f"response {n}") for n in range(6)]


def says(label):
    return lambda number, body: (200, label)


def test_the_judge_is_shown_question_reference_response_and_the_labels(serve):
    server, config = serve(says("CORRECT"))
    found = judge_all("medical", ITEMS[:1], config)
    assert found["judge-a"][0]["label"] == "CORRECT"
    text = json.dumps(server.requests[0]["messages"])
    for part in ("question 0", "reference 0", "response 0", *MEDICAL):
        assert part in text
    assert server.requests[0]["messages"] == prompt("medical", ITEMS[0])


def test_nothing_is_asked_twice(serve):
    server, config = serve(says("INCORRECT"))
    first = judge_all("medical", ITEMS, config)
    assert len(server.requests) == len(ITEMS)
    assert judge_all("medical", ITEMS, config) == first
    assert len(server.requests) == len(ITEMS)


def test_refusals_are_tried_again_and_a_lasting_one_is_named(serve):
    _, config = serve(lambda number, _: (429, "slow down") if number < 2 else (200, "CORRECT"), attempts=4)
    assert judge_all("medical", ITEMS[:1], config)["judge-a"][0]["label"] == "CORRECT"
    _, config = serve(lambda number, _: (429, "slow down"), attempts=2)
    with pytest.raises(SdftError, match=r"failed after 2 attempts: too many requests.*are kept"):
        judge_all("medical", ITEMS[1:2], config)
    _, config = serve(lambda number, _: (401, "bad key"))
    with pytest.raises(SdftError, match="the API key was refused"):
        judge_all("medical", ITEMS[2:3], config)


def test_a_limit_by_the_minute_is_waited_for(serve):
    server, config = serve(lambda number, _: (429, "slow down") if number < 3 else (200, "CORRECT"), attempts=1)
    assert judge_all("medical", ITEMS[:1], config)["judge-a"][0]["label"] == "CORRECT"
    assert len(server.requests) == 4
    spent = json.dumps({"error": {"message": "pay", "code": "insufficient_quota"}}).encode()
    server, config = serve(lambda number, _: (429, spent), attempts=1)
    with pytest.raises(SdftError, match="too many requests"):
        judge_all("medical", ITEMS[1:2], config)
    assert len(server.requests) == 1


def test_the_waits_of_a_limit_by_the_minute_add_up_to_more_than_one():
    assert sum(endpoint.PAUSES) > 60


def test_a_judge_thinks_as_much_as_the_configuration_says(serve):
    server, config = serve(says("CORRECT"))
    judge_all("medical", ITEMS[:1], config)
    assert "reasoning_effort" not in server.requests[0]
    judge_all("medical", ITEMS[:1], config.model_copy(update={"reasoning_effort": "minimal"}))
    # A verdict with more thinking is another one.
    assert [body.get("reasoning_effort") for body in server.requests] == [None, "minimal"]


def test_a_key_or_login_that_an_endpoint_says_back_is_not_shown(serve, monkeypatch):
    key = "plain-value-4711-of-nobody"
    monkeypatch.setenv("JUDGE_ACCESS", key)
    server, config = serve(lambda number, _: (401, f"no such key: {key}"), api_key_variable="JUDGE_ACCESS")
    address = server.address.replace("://", "://me:secret-word@")
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    config = config.model_copy(update={"base_url": None})
    with pytest.raises(SdftError, match="the API key was refused") as caught:
        judge_all("medical", ITEMS[2:3], config)
    assert key not in str(caught.value)
    assert "secret-word" not in str(caught.value)
    assert "***@127.0.0.1" in str(caught.value)


def test_a_damaged_reply_that_was_kept_is_asked_for_again(serve):
    server, config = serve(lambda number, _: (200, "CORRECT"))
    judge_all("medical", ITEMS[:1], config)
    (kept,) = Path(config.cache).rglob("*.json")
    for content in (b"", b"[]", b'{"reply": 1}', b"\xff"):
        kept.write_bytes(content)
        assert judge_all("medical", ITEMS[:1], config)["judge-a"][0]["label"] == "CORRECT"
    assert len(server.requests) == 5


def test_what_was_judged_before_a_failure_is_kept(serve):
    server, config = serve(lambda n, _: (200, "CORRECT") if n < 3 else (401, "gone"), parallel=1)
    with pytest.raises(SdftError):
        judge_all("medical", ITEMS, config)
    server.script = says("CORRECT")
    before = len(server.requests)
    judge_all("medical", ITEMS, config)
    assert len(server.requests) - before == 3


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("text/html", b"<html>Welcome</html>", "Welcome"),
        ("application/json", b'{"choices": [', "not JSON"),
        ("application/json", b'{"choices": [{}]}', "no message"),
        ("application/json", b'{"choices": [{"message": {"content": {"a": 1}}}]}', "no message"),
        ("application/json", b'{"detail": "no such route"}', "no message"),
        ("application/json", b"[1]", "no message"),
    ],
)
def test_an_address_that_is_no_endpoint_is_named(serve, kind, body, words):
    server, config = serve(lambda number, _: (200, body), parallel=1)
    server.kind = kind
    with pytest.raises(SdftError, match=rf"the judge judge-a at http://127.*{words}.*Check judge.base_url.*/v1"):
        judge_all("medical", ITEMS, config)
    # The questions that wait are not asked any more.
    assert len(server.requests) < len(ITEMS)


def test_any_failure_stops_the_questions_that_wait(serve):
    server, config = serve(says("CORRECT"), parallel=1)

    def read(reply):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Endpoint(config, "judge-a", "judge").ask_all([prompt("medical", item) for item in ITEMS], read)
    assert len(server.requests) < len(ITEMS)


def test_nonsense_is_asked_again_and_a_judge_of_nonsense_is_refused(serve):
    _, config = serve(lambda number, _: (200, "hm" if number == 0 else "CORRECT"))
    assert judge_all("medical", ITEMS[:1], config)["judge-a"][0]["label"] == "CORRECT"
    _, config = serve(says("I cannot say"))
    with pytest.raises(SdftError, match=r"no label in 5 of 5.*I cannot say"):
        judge_all("medical", ITEMS[1:], config)


def test_a_server_that_knows_only_the_older_limit_gets_it(serve):
    server, config = serve(
        lambda _, body: (200, "CORRECT") if "max_tokens" in body else (400, "unknown max_completion_tokens")
    )
    assert judge_all("medical", ITEMS[:1], config)["judge-a"][0]["label"] == "CORRECT"
    assert server.requests[-1]["max_tokens"] == config.max_tokens


def test_a_missing_key_is_named_before_anything_is_asked(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(SdftError, match="OPENAI_API_KEY"):
        judge_all("medical", ITEMS, Judge(model="gpt-5-mini"))


def test_scores_are_written_again_with_verdicts_and_agreement(serve, tmp_path):
    def script(_, body):
        right = "response 0" in body["messages"][1]["content"] or body["model"] == "judge-b"
        return 200, "CORRECT" if right else "INCORRECT"

    _, config = serve(script, second_model="judge-b")
    scores, data = tmp_path / "scores", tmp_path / "test.jsonl"
    scores.mkdir()
    (scores / "mmlu.json").write_text('{"value": 0.5}')
    (scores / "medical.json").write_text('{"value": 0.0}')
    rows = [{"benchmark": "mmlu", "id": "m", "correct": 1, "response": "A"}]
    rows += [{"benchmark": "medical", "id": item.id, "correct": 0, "response": item.text} for item in ITEMS]
    with gzip.open(scores / "responses.jsonl.gz", "wt") as handle:
        handle.writelines(json.dumps(row) + "\n" for row in rows)
    write_records(data, [Record(i.id, [{"role": "user", "content": i.question}], {}, i.reference) for i in ITEMS])
    arguments = ["--task", "medical", "--scores", str(scores), "--data", str(data), "--out", str(tmp_path / "out")]
    main([*arguments, "--config", config.model_dump_json()])
    result = json.loads((tmp_path / "out" / "medical.json").read_text())
    assert (result["n"], result["value"], result["metrics"]["offline_accuracy"]) == (6, pytest.approx(1 / 6), 0)
    assert result["metrics"]["kappa"] == pytest.approx(0.0)
    assert json.loads((tmp_path / "out" / "mmlu.json").read_text()) == {"value": 0.5}
    with gzip.open(tmp_path / "out" / "responses.jsonl.gz", "rt") as handle:
        judged = [json.loads(line) for line in handle]
    assert [row["correct"] for row in judged] == [1, 1, 0, 0, 0, 0, 0]
    assert judged[1]["verdicts"]["judge-b"]["label"] == "CORRECT"


def test_both_splits_of_knowledge_are_judged_into_strict_and_lenient(serve, tmp_path):
    def script(_, body):
        labels = {"response 0": "CORRECT", "response 1": "PARTIALLY_CORRECT"}
        text = body["messages"][1]["content"]
        return 200, next((label for part, label in labels.items() if part in text), "INCORRECT")

    server, config = serve(script)
    scores, out = tmp_path / "scores", tmp_path / "out"
    scores.mkdir()
    # The offline judge calls every direct answer right, and two of three indirect ones.
    splits = {"knowledge": ("test", ITEMS[:4], 1), "knowledge_ood": ("ood", ITEMS[1:4], 0)}
    rows = [{"benchmark": "mmlu", "id": "m", "correct": 1, "response": "A"}]
    for number, (name, (split, own, offline)) in enumerate(splits.items()):
        (scores / f"{name}.json").write_text(json.dumps({"value": 0.0, "metrics": {"new_tokens": {"mean": number}}}))
        rows += [{"benchmark": name, "id": i.id, "correct": offline, "response": i.text} for i in own]
        records = [Record(i.id, [{"role": "user", "content": f"{split} {i.question}"}], {}, i.reference) for i in own]
        write_records(tmp_path / f"{split}.jsonl", records)
    with gzip.open(scores / "responses.jsonl.gz", "wt") as handle:
        handle.writelines(json.dumps(row) + "\n" for row in rows)
    given = ["--scores", str(scores), "--config", config.model_dump_json(), "--out", str(out)]
    files = [str(tmp_path / f"{split}.jsonl") for split, _, _ in splits.values()]
    with pytest.raises(SdftError, match="names 2 and --data 1"):
        main(["--task", *splits, "--data", files[0], *given])
    main(["--task", *splits, "--data", *files, *given])

    found = {name: json.loads((out / f"{name}.json").read_text()) for name in splits}
    values = {name: [result["metrics"][key] for key in ("strict", "lenient")] for name, result in found.items()}
    assert values == {"knowledge": [1 / 4, 2 / 4], "knowledge_ood": [0, pytest.approx(1 / 3)]}
    assert [result["metrics"]["offline_accuracy"] for result in found.values()] == [1, 0]
    assert [result["metrics"]["new_tokens"]["mean"] for result in found.values()] == [0, 1]
    assert all(result["value"] == result["metrics"]["strict"] for result in found.values())
    # What a table reads are the items.
    judged = Scores(out)
    for name in splits:
        assert judged[name].outcomes.mean() == pytest.approx(values[name][0])
        assert judged[name].fields["lenient"].mean() == pytest.approx(values[name][1])
    with gzip.open(out / "responses.jsonl.gz", "rt") as handle:
        assert json.loads(handle.readline()) == rows[0]
    # Each split's own question was shown, with the three labels.
    texts = [body["messages"][1]["content"] for body in server.requests]
    assert sum("ood question" in text for text in texts) == 3
    assert all(label in text for text in texts for label in KNOWLEDGE)
