"""A damaged file is refused in one paragraph that names it, or is read as if it were whole; never a traceback.

SDFT_CORRUPT is the number of damages that are tried on each kind of file; without it a few. SDFT_SEED has other ones
made.
"""

from __future__ import annotations

import gzip
import json
import os
import random

import pytest

from sdft.common.errors import SdftError
from sdft.common.files import read_packed, rows_sha256, sha256_file, write_json, write_packed
from sdft.common.schema import read_checked
from sdft.evaluate.judge import read_responses
from sdft.evaluate.partial import Partial
from sdft.evaluate.prior import prior_config, read_benchmark
from sdft.evaluate.responses import questions_digest
from sdft.evidence import files
from sdft.evidence.outcomes import read_results
from sdft.evidence.scores import Scores
from sdft.learning.run import adopted
from sdft.learning.select import rank, read_candidate
from sdft.learning.spec import read_spec, resolve
from sdft.learning.validation import read_replies
from sdft.records import jsonl
from sdft.records.readers import read_rows
from sdft.records.record import Record, read_records, write_records
from sdft.study.gate import check_scores

TRIED, SEED = int(os.environ.get("SDFT_CORRUPT", "12")), os.environ.get("SDFT_SEED", "")
ODD = [None, True, -1, 1.5, 10**400, "", "x", "7", [], {}, [[]], {"a": 1}, [None], "\ud800", float("nan"), float("inf")]
WHOLE = [b"", b"null", b"[]", b"{}", b"1", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"a": ' * 5000, b"9" * 5000, b"{" * 9]
ROWS = [{"id": f"r{n}", "prompt": [{"role": "user", "content": f"Where is {n}?"}]} for n in range(4)]


def records(folder):
    write_records(
        folder / "train.jsonl", [Record(**row, demonstrations={"expert": "Here."}, answer="A") for row in ROWS]
    )
    entry = {"sha256": sha256_file(folder / "train.jsonl"), "rows": 4}
    write_json(folder / "manifest.json", {"files": {"train.jsonl": entry}, "manifest": {}})
    return folder / "train.jsonl"


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def scores(folder):
    items = [
        {"benchmark": "science", "id": f"i{n}", "correct": n % 2, "new_tokens": n, "response": "A"} for n in range(6)
    ]
    text = "".join(json.dumps(item) + "\n" for item in items).encode()
    (folder / "responses.jsonl.gz").write_bytes(gzip.compress(text, mtime=0))
    made = {"seconds": 1.5, "device_hours": 0.1, "step": "evaluate", "commit": "c"}
    record = {"benchmark": "science", "n": 6, "value": 0.5, "metric": "accuracy", "manifest": made}
    write_json(folder / "science.json", record | {"responses_sha256": rows_sha256(items)})
    return folder / "science.json"


def run(folder):
    values = {
        "id": "r",
        "scale": "mini",
        "study": "table5",
        "task": "science",
        "arm": "sdft",
        "method": "sdft",
        "seed": 0,
    }
    values |= {"base": "m-s0", "base_ready": "ready.json", "demonstration": "shared", "settings": {"skip_tokens": 2}}
    values |= {
        "hyperparameters": {"learning_rate": 1e-3, "batch_size": 2, "epochs": 1, "ema_rate": 0.02},
        "data": {"train": "t"},
    }
    write_json(folder / "run.json", values)
    return folder / "run.json"


def selected(folder):
    values = {"learning_rate": 0.001, "batch_size": 2, "epochs": 1, "ema_rate": 0.02}
    row = {"run": "r", "hyperparameters": values, "validation": 0.5, "prior_average": 0.25}
    made = {"inputs": {"absent/validation.json": "0" * 64}}
    content = {"rule": "best", "winner": values, "winner_run": "r", "ranking": [row], "manifest": made}
    write_json(folder / "sdft.json", content)
    return folder / "sdft.json"


def winner(path):
    """The run that takes its winner from the file."""
    spec = read_spec(run(path.parent))
    return resolve(spec.model_copy(update={"hyperparameters": None, "selected": str(path)})).hyperparameters


def candidate(folder):
    values = {"learning_rate": 0.001, "batch_size": 2, "epochs": 1}
    record = {"run": "r", "hyperparameters": values, "validation": {"value": 0.5, "n": 8}, "manifest": {"seconds": 2.0}}
    record |= {"prior": {"mmlu": 0.5}, "prior_average": 0.5, "offline": 0.25, "stale": ["mmlu"], "seed": 0, "base": "m"}
    write_json(folder / "validation.json", record)
    return folder / "validation.json"


def replies(folder):
    asked = [Record(**row) for row in ROWS]
    responses = [{"id": record.id, "response": "Here."} for record in asked]
    validation = {"questions": questions_digest(asked), "responses": responses}
    write_packed(folder / "replies.json.gz", {"validation": validation, "prior": {"mmlu": {"key": [1.5]}}})
    return folder / "replies.json.gz"


def ranked(path):
    """The ranking of the candidate in the file."""
    return rank([read_candidate(path)])


def plan(folder):
    base = {"seed": 0, "scores": "s", "model": "m-s0"}
    cell = {"task": "science", "arm": "sdft", "method": "sdft", "runs": [{"seed": 0, "scores": "s", "run": "r"}]}
    fields = {"name": "table5", "scale": "mini", "study": "table5", "evidence": "own", "notice": "Own."}
    write_json(folder / "plan.json", {**fields, "base": [base], "cells": [cell]})
    return folder / "plan.json"


def written(name, content, kind):
    def make(folder):
        write_json(folder / name, content)
        return folder / name

    return make, lambda path: read_checked(path, kind)


POINT = {"step": 2, "fraction": 0.5, "tasks": {"science": {"value": 0.5, "correct": [0, 1]}}, "prior_average": 0.4}
NATS = {"nats_per_sequence": {"mean": 1.5}, "items": [{"id": "a", "nats_per_sequence": [1.0, 2.0]}], "n_prompts": 1}
KINDS = {
    "records": (records, read_records),
    "manifest": (
        lambda folder: records(folder).with_name("manifest.json"),
        lambda path: read_records(path.with_name("train.jsonl")),
    ),
    "own rows": (
        lambda folder: lines(folder / "own.jsonl", [{"prompt": "Why?", "completion": "So.", "answer": "a"}] * 3),
        jsonl.load,
    ),
    "published rows": (lambda folder: write_rows(folder / "rows.json"), read_rows),
    "benchmark": (
        lambda folder: lines(folder / "mmlu.jsonl", [{"question": "q", "gold": 1}] * 3),
        lambda path: read_benchmark(str(path))["test"].to_list(),
    ),
    "score": (scores, lambda path: Scores(path.parent)["science"].outcomes.tolist()),
    "outcomes": (
        lambda folder: scores(folder).with_name("responses.jsonl.gz"),
        lambda path: Scores(path.parent)["science"].outcomes.tolist(),
    ),
    "judged": (lambda folder: scores(folder).with_name("responses.jsonl.gz"), read_responses),
    "gate": (
        lambda folder: scores(folder).rename(folder / "mmlu.json"),
        lambda path: check_scores("Qwen2.5-7B-Instruct", path.parent),
    ),
    "run": (run, read_spec),
    "winner": (selected, winner),
    "selection": (selected, lambda path: read_checked(path, files.Selected)),
    "candidate": (candidate, ranked),
    "replies": (replies, lambda path: read_replies(path, [Record(**row) for row in ROWS])),
    "looked at": (
        selected,
        lambda path: adopted(
            read_spec(run(path.parent)).model_copy(update={"selected": str(path)}), path.parent, "mark"
        ),
    ),
    "plan": (plan, read_results),
    "protocol": (lambda folder: protocol(folder / "prior.json"), lambda path: prior_config(str(path), path.parent)),
    "trajectory": written("t.json", {"points": [POINT]}, files.Trajectory),
    "pass@k": written("p.json", {"n_samples": 4, "items": [{"id": "a", "correct": 3}]}, files.PassK),
    "divergence": written("d.json", NATS, files.Divergence),
    "flops": written("f.json", {"total": 1e9, "tokens": {"sequences": 4}}, files.Flops),
    "model": written(
        "model.json",
        {"steps": 4, "manifest": {"seconds": 3.5}, "run": {"hyperparameters": {"batch_size": 2}}},
        files.Model,
    ),
}


def write_rows(path):
    path.write_text(json.dumps([{"question": "q", "answer": "a"}] * 3), encoding="utf-8")
    return path


def protocol(path):
    write_json(path, {"tasks": {"mmlu": {"task": "mmlu", "metric": "acc"}}, "limit": 3})
    return path


def leaves(node, path=()):
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in parts:
        yield (*path, key)
        yield from leaves(value, (*path, key))


def damaged(content, rng):
    """Bytes of a file with one damage, and what it is."""
    packed = content[:2] == b"\x1f\x8b"
    kind = rng.choice(["cut", "byte", "whole", "insert", "field", "field", "field", "remove", "swap"])
    if packed and rng.random() < 0.6:
        content, _ = damaged(gzip.decompress(content), rng)
        return gzip.compress(content, mtime=0), "inside"
    if kind == "whole":
        return rng.choice(WHOLE), kind
    if kind == "cut":
        return content[: rng.randrange(len(content))], kind
    place = rng.randrange(len(content))
    if kind == "byte":
        return content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :], kind
    if kind in ("insert", "swap") or packed:
        return content[:place] + rng.choice([b"\xff", b"\x00", b"NaN", b"1e999", b'"', b"{", b"\\ud800"]) + content[
            place:
        ], kind
    rows = (
        [json.loads(line) for line in content.splitlines()]
        if content.count(b"\n") > 1 and content[:1] == b"{" and content[1:2] != b"\n"
        else [json.loads(content)]
    )
    row = rng.randrange(len(rows))
    found = list(leaves(rows[row]))
    *above, key = rng.choice(found)
    node = rows[row]
    for part in above:
        node = node[part]
    if kind == "remove":
        del node[key]
    else:
        node[key] = rng.choice(ODD)
    return "\n".join(map(json.dumps, rows)).encode("utf-8", "surrogatepass") + b"\n", kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_refused_by_name_or_read_as_it_is(tmp_path, kind):
    make, read = KINDS[kind]
    whole = read(make(tmp_path))
    for number in range(TRIED):
        rng = random.Random(f"{SEED}{kind}.{number}")
        path = make(tmp_path)
        content, done = damaged(path.read_bytes(), rng)
        path.write_bytes(content)
        try:
            found = read(path)
        except SdftError as error:
            said = str(error)
            assert path.parent.name in said or path.name in said or "prior" in said, (number, done, said)
            assert 30 < len(said) < 1200, (number, done, said)
            continue
        if kind in ("records", "score", "outcomes"):
            # What decides a result is the same, or was refused.
            assert found == whole, (number, done)


HYPER = {"learning_rate": 0.001, "batch_size": 2, "epochs": 1}
EDITED = [
    *[("candidate", {"prior": value}, "prior") for value in ({"mmlu": "x"}, [1], {"mmlu": None}, {"mmlu": 2})],
    ("candidate", {"prior_average": "x"}, "prior_average"),
    ("candidate", {"offline": "x"}, "offline"),
    *[("candidate", {"stale": value}, "stale") for value in (5, None, "mmlu", [1])],
    *[("candidate", {"stopped": value}, "stopped") for value in (None, 5, {"steps": "x"})],
    *[("candidate", {"run": value}, "run") for value in (["a"], "", None, 5)],
    *[("candidate", {"validation": {"value": 0.5, "n": n}}, "validation.n") for n in (10.5, True, 0, "8")],
    ("candidate", {"validation": {"value": True, "n": 8}}, "validation.value"),
    ("candidate", {"hyperparameters": {"learning_rate": 0.001}}, "hyperparameters.batch_size"),
    *[("candidate", {"hyperparameters": HYPER | {"batch_size": value}}, "batch_size") for value in ("4", 4.5, True, 0)],
    ("candidate", {"hyperparameters": HYPER | {"learning_rate": -1}}, "hyperparameters.learning_rate"),
    *[("replies", value, "whole") for value in ([], None, 5)],
    *[("replies", {"validation": value}, "validation") for value in ({}, [], None, {"questions": "q", "responses": 5})],
    ("replies", {"prior": {"mmlu": "x"}}, "prior.mmlu"),
    *[("looked at", {"manifest": value}, "manifest") for value in ([], None, {"inputs": 3}, {"inputs": None})],
    *[("score", {"benchmark": value}, "other|benchmark") for value in ("other", 5)],
]


def edit(path, changes):
    """Change keys of the object in a JSON file, or the whole."""
    packed = path.suffix == ".gz"
    content = read_packed(path) if packed else json.loads(path.read_text())
    (write_packed if packed else write_json)(path, content | changes if isinstance(changes, dict) else changes)


@pytest.mark.parametrize(("kind", "changes", "words"), EDITED)
def test_a_result_that_was_edited_is_refused_with_its_field_and_the_remedy(tmp_path, kind, changes, words):
    make, read = KINDS[kind]
    path = make(tmp_path)
    read(path)
    edit(path, changes)
    with pytest.raises(SdftError, match=rf"{path.name} .*({words}).*delete .* and run the same command again"):
        read(path)


def test_kept_replies_of_which_one_is_gone_are_refused(tmp_path):
    path = replies(tmp_path)
    validation = read_packed(path)["validation"]
    edit(path, {"validation": {**validation, "responses": validation["responses"][1:]}})
    with pytest.raises(SdftError, match=r"replies.json.gz answers other questions .*delete the folder"):
        KINDS["replies"][1](path)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": NaN}', '{"a": 1e999}', '["\\ud800"]'])
def test_packed_json_is_as_strict_as_plain(tmp_path, text):
    path = tmp_path / "replies.json.gz"
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(SdftError, match=r"replies.json.gz cannot be read .*delete it"):
        read_packed(path)


@pytest.mark.parametrize(
    "changes",
    [
        *[{"id": value} for value in (None, True, 1.5, ["a"])],
        *[{"correct": value} for value in (True, "1", None, 2, -0.5)],
        *[{"new_tokens": value} for value in (-5, True, "9")],
        *[{name: value} for name in ("lenient", "offline") for value in (2, -1, True, "1")],
        *[{"weight": value} for value in (1e308, 0, True, None, "1")],
        *[{"benchmark": value} for value in (None, 5, ["science"])],
        {"cluster": ["a"]},
    ],
)
def test_an_item_that_was_edited_is_refused(tmp_path, changes):
    path = scores(tmp_path)
    edit(path, {"responses_sha256": None})
    kept = tmp_path / "responses.jsonl.gz"
    rows = [json.loads(line) | changes for line in gzip.decompress(kept.read_bytes()).splitlines()]
    kept.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    with pytest.raises(SdftError, match=rf"responses.jsonl.gz line 1 .*{next(iter(changes))}.*delete .*run the same"):
        Scores(tmp_path)["science"]


def test_a_changed_letter_is_noticed_by_the_digest(tmp_path):
    path = records(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"Where is 2", b"Where is 3"))
    with pytest.raises(SdftError, match=r"train.jsonl has sha256 .* was recorded"):
        read_records(path)


def test_a_manifest_without_the_digest_that_it_names_is_refused(tmp_path):
    path = records(tmp_path)
    for digest in ("", None, [], "0" * 64):
        write_json(tmp_path / "manifest.json", {"files": {"train.jsonl": {"sha256": digest, "rows": 4}}})
        with pytest.raises(SdftError, match="train.jsonl has sha256"):
            read_records(path)


def test_an_empty_demonstration_or_question_is_refused(tmp_path):
    for row, words in (
        ({"prompt": "q", "demonstration": {"expert": " "}}, "'demonstration' must be text"),
        ({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "\n"}]}, "is empty"),
        ({"prompt": [{"role": "user", "content": ""}]}, "the last message of 'prompt' is empty"),
    ):
        with pytest.raises(SdftError, match=words):
            jsonl.load(lines(tmp_path / "own.jsonl", [row]))


def test_a_long_measurement_continues_before_the_damage(tmp_path):
    out = tmp_path / "passk.json"
    first = Partial(out, "k", "id", ["a", "b", "c"])
    for name in ("a", "b"):
        first.add([{"id": name}])
    for line in (b"[" * 100_000, b"null", b'[{"id": 1e999}]', b"\xff"):
        content = first.path.read_bytes().splitlines(keepends=True)
        first.path.write_bytes(b"".join([*content[:2], line]))
        assert Partial(out, "k", "id", ["a", "b", "c"]).rows == [{"id": "a"}]


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"prompt": "Why?"}).encode())
    assert jsonl.load(path)[0].prompt[0]["content"] == "Why?"
