"""Official files become splits that do not overlap, by a rule that anybody can repeat; what does not fit is refused."""

from __future__ import annotations

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from sdft.common.errors import SdftError
from sdft.common.files import sha256_file
from sdft.config import load_config
from sdft.data import invented
from sdft.data.fetch import fetch
from sdft.data.prepare import VALIDATION_ROWS, main
from sdft.data.schema import Source, TaskFiles
from sdft.data.splits import make_splits, prompt_key, validation_ids
from sdft.records.record import Record, read_records
from sdft.tasks import read_task


def write(path, rows):
    path.write_text(json.dumps(rows))
    return str(path)


def spec(tmp_path, task="tooluse", train=None, test=None, **rules):
    train = invented.rows(task, "train", 40) if train is None else train
    test = invented.rows(task, "test", 10) if test is None else test
    files = {
        "train": {"path": write(tmp_path / "train.json", train)} | rules.pop("train_has", {}),
        "test": {"path": write(tmp_path / "test.json", test)} | rules.pop("test_has", {}),
    }
    return json.dumps({"source": "official", "tasks": {task: files | rules}})


def prepare(tmp_path, text, task="tooluse"):
    main(["--task", task, "--spec", text, "--out", str(tmp_path / "out")])
    files = (tmp_path / "out").glob("*.jsonl")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    return {path.stem: read_records(path) for path in files}, manifest


@pytest.mark.parametrize("task", ["science", "tooluse", "medical"])
def test_splits_are_disjoint_whole_and_recorded(tmp_path, task):
    splits, manifest = prepare(tmp_path, spec(tmp_path, task), task)
    train, validation = ({record.id for record in splits[name]} for name in ("train", "validation"))
    assert not train & validation
    assert len(train | validation) == 40
    assert len(validation) == 2
    assert len(splits["test"]) == 10
    assert all(record.demonstration("expert") for record in splits["train"])
    for name in splits:
        entry = manifest["files"][f"{name}.jsonl"]
        assert entry == {"sha256": sha256_file(tmp_path / "out" / f"{name}.jsonl"), "rows": len(splits[name])}
    assert manifest["ids"]["validation"] == [record.id for record in splits["validation"]]


def test_both_versions_of_a_test_set_are_kept(tmp_path):
    splits, _ = prepare(tmp_path, spec(tmp_path, test_rows=6, test_versions=[6, 10]))
    assert splits["test"] == splits["test_6"] == splits["test_10"][:6]
    assert len(splits["test_10"]) == 10


def test_a_sampled_test_set_has_no_question_of_train(tmp_path):
    test = invented.rows("medical", "test", 30)
    known = [{"Question": row["Open-ended Verifiable Question"], "Response": "So it is."} for row in test[:12]]
    train = invented.rows("medical", "train", 20) + known
    splits, manifest = prepare(tmp_path, spec(tmp_path, "medical", train, test, test_sample=10), "medical")
    assert len(splits["test"]) == 10
    questions = {prompt_key(record) for name in ("train", "validation") for record in splits[name]}
    assert not questions & {prompt_key(record) for record in splits["test"]}
    assert manifest["source"]["found"]["test_candidates"] == 18
    # Only rows whose short reference is known among the problems can be judged offline, so only they validate.
    answers = {row["Ground-True Answer"] for row in test[:12]}
    assert {record.answer for record in splits["validation"]} <= answers


def test_a_prompt_of_validation_leaves_training():
    records = [Record(f"x-{number}", [{"role": "user", "content": f"q{number % 20}"}], {}, "a") for number in range(40)]
    rules = TaskFiles(train=Source(path="a"), test=Source(path="b"))
    found = make_splits("science", rules, records, [Record("t", [{"role": "user", "content": "new"}], {}, "a")], 0.1, 0)
    train, validation = ({prompt_key(record) for record in found.splits[name]} for name in ("train", "validation"))
    assert not train & validation
    assert len(found.found["duplicates"]) == 20


@pytest.mark.parametrize(
    ("rule", "make"),
    [
        ("duplicates", lambda rows: [*rows, rows[0]]),
        ("conflicts", lambda rows: [*rows, rows[0] | {"golden_answer": rows[1]["golden_answer"]}]),
        ("overlap", lambda rows: [*rows, invented.rows("tooluse", "test", 1)[0] | {"golden_response": ["x"]}]),
    ],
)
def test_what_the_checks_find_is_refused_reported_or_dropped(tmp_path, rule, make):
    train = make(invented.rows("tooluse", "train", 40))
    with pytest.raises(SdftError, match=f"1 training rows .* data.tasks.tooluse.{rule}"):
        prepare(tmp_path, spec(tmp_path, train=train, **{rule: "error"}))
    kept, manifest = prepare(tmp_path, spec(tmp_path, train=train, **{rule: "report"}))
    assert manifest["source"]["found"][rule] == ["tooluse-40"]
    less, _ = prepare(tmp_path, spec(tmp_path, train=train, **{rule: "drop"}))
    ids = [{record.id for name in ("train", "validation") for record in splits[name]} for splits in (kept, less)]
    assert "tooluse-40" not in ids[1]
    assert rule != "overlap" or "tooluse-40" in ids[0]


def test_another_number_of_rows_is_refused(tmp_path):
    with pytest.raises(SdftError, match=r"40 rows.* has 4046"):
        prepare(tmp_path, spec(tmp_path, train_has={"rows": 4046}))


def test_another_content_is_refused(tmp_path):
    with pytest.raises(SdftError, match=r"config.yaml pins"):
        prepare(tmp_path, spec(tmp_path, test_has={"sha256": "0" * 64}))


def test_a_missing_local_copy_is_refused_and_a_rehearsal_invents_it(tmp_path):
    values = json.loads(spec(tmp_path))
    values["tasks"]["tooluse"]["train"]["path"] = str(tmp_path / "nowhere")
    with pytest.raises(SdftError, match="nowhere does not exist"):
        prepare(tmp_path, json.dumps(values))
    _, manifest = prepare(tmp_path, json.dumps(values | {"absent": "invent"}))
    assert manifest["source"]["train"]["invented"]
    assert not manifest["source"]["test"]["invented"]


def test_a_path_with_a_variable_that_is_not_set_is_no_path(tmp_path, monkeypatch):
    monkeypatch.delenv("SDFT_NOT_SET", raising=False)
    values = json.loads(spec(tmp_path)) | {"absent": "invent"}
    values["tasks"]["tooluse"]["train"]["path"] = "$SDFT_NOT_SET/train"
    _, manifest = prepare(tmp_path, json.dumps(values))
    assert manifest["source"]["train"]["invented"]


def test_the_published_validation_rows_are_the_rules(root):
    published = json.loads(VALIDATION_ROWS.read_text())
    rows = {task: entry["rows"] for task, entry in published["tasks"].items()}
    assert rows == {"science": 2674, "tooluse": 4046}
    for task, entry in published["tasks"].items():
        ids = [f"{task}-{number}" for number in range(entry["rows"])]
        drawn = validation_ids(ids, published["fraction"], published["seed"])
        assert [ids[number] for number in entry["validation"]] == [name for name in ids if name in drawn]
    data = load_config(root / "config.yaml").scales["paper"].data
    assert (data.validation_fraction, data.split_seed) == (published["fraction"], published["seed"])


def test_the_draw_depends_on_ids_and_seed_alone():
    ids = [f"science-{number}" for number in range(100)]
    assert validation_ids(ids, 0.05, 0) == validation_ids(ids[::-1], 0.05, 0)
    assert validation_ids(ids, 0.05, 0) != validation_ids(ids, 0.05, 1)
    assert len(validation_ids(ids, 0.05, 0)) == 5


def test_an_upstream_that_cannot_be_reached_is_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr("sdft.data.fetch.GITHUB", "http://127.0.0.1:9/{repository}/{revision}/{file}")
    source = Source(github="a/b", revision="0" * 40, file="data/train.json")
    with pytest.raises(SdftError, match=r"127.0.0.1:9/a/b.*network.*`path`"):
        fetch(source, tmp_path)


@pytest.fixture
def upstream(tmp_path, monkeypatch):
    """A folder that is served as every repository's."""
    served = tmp_path / "served"
    served.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=served))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("sdft.data.fetch.GITHUB", f"http://127.0.0.1:{server.server_port}/{{file}}")
    yield served
    server.shutdown()
    server.server_close()


def test_a_download_that_no_digest_pins_stays_what_it_was_at_first(tmp_path, upstream):
    source, content = Source(github="a/b", revision="0" * 40, file="train.json"), b"[1, 2, 3]"
    (upstream / "train.json").write_bytes(content)
    path = fetch(source, tmp_path / "store")
    # Damaged later, it is downloaded again.
    path.write_bytes(content[:-1])
    assert fetch(source, tmp_path / "store").read_bytes() == content
    (upstream / "train.json").write_bytes(b"[1, 2, 4]")
    assert fetch(source, tmp_path / "store").read_bytes() == content
    path.unlink()
    with pytest.raises(SdftError, match="a commit does not change"):
        fetch(source, tmp_path / "store")


def test_the_digest_that_would_pin_a_download_is_said(tmp_path, upstream, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    values = json.loads(spec(tmp_path))
    train = Path(values["tasks"]["tooluse"]["train"]["path"]).rename(upstream / "train.json")
    place = {"github": "a/b", "revision": "0" * 40, "file": "train.json"}
    values["tasks"]["tooluse"]["train"] = place
    prepare(tmp_path, json.dumps(values))
    assert f"{sha256_file(train)}; as data.tasks.tooluse.train.sha256" in capsys.readouterr().out
    values["tasks"]["tooluse"]["train"] = place | {"sha256": sha256_file(train)}
    prepare(tmp_path, json.dumps(values))
    assert "would hold" not in capsys.readouterr().out


def test_general_prompts_are_distinct_short_first_turns(tmp_path):
    turns = ["one", "one", "two", "three", "x" * 5000]
    rows = [{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": turn}]} for turn in turns]
    values = json.loads(spec(tmp_path))
    values["general"] = {"source": {"path": write(tmp_path / "general.json", rows)}, "prompts": 3}
    splits, _ = prepare(tmp_path, json.dumps(values), "general")
    assert {record.prompt[-1]["content"] for record in splits["train"]} == {"one", "two", "three"}
    # The configured set comes as parquet.
    path = tmp_path / "general.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    values["general"]["source"] = {"path": str(path)}
    assert prepare(tmp_path, json.dumps(values), "general")[0] == splits
    values["general"]["prompts"] = 4
    with pytest.raises(SdftError, match="3 prompts"):
        prepare(tmp_path, json.dumps(values), "general")


@pytest.mark.parametrize(
    ("task", "file", "count"),
    [("tooluse", "tooluse/eval_97", 97), ("tooluse", "tooluse/eval_68.json", 68), ("science", "science/eval_507", 507)],
)
def test_the_real_test_sets_have_the_pinned_content(real_data, root, task, file, count):
    path = real_data / file
    assert len(read_task(task, path)) == count
    pinned = load_config(root / "config.yaml").scales["paper"].data.tasks[task].test
    if count != 68:
        assert fetch(pinned.model_copy(update={"path": str(path)}), "unused") == path
    else:
        assert read_task(task, path) == read_task(task, real_data / "tooluse/eval_97")[:68]
