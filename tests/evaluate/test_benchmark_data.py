"""The prior benchmarks' data are fetched once, each at one commit, and then read without any network."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from sdft.common.errors import SdftError
from sdft.evaluate import benchmark_data
from sdft.evaluate.prior import PriorRunner, shipped_protocol
from sdft.evaluate.store import place, stored

COMMIT, PINNED = "a" * 40, "b" * 40
TASK = """task: own_{name}
dataset_path: owner/{name}
dataset_name: part
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{prompt}}}}"
doc_to_choice: choices
doc_to_target: gold
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""


@pytest.fixture
def hub(monkeypatch):
    """A hub with rows for whatever is asked; the requests that it has had."""
    import datasets

    asked = []

    def load_dataset(path, name=None, revision=None, **options):
        asked.append((path, name, revision))
        rows = [{"prompt": f"w{n}", "choices": ["w3", "w4 w5"], "gold": n % 2} for n in range(4)]
        return datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(benchmark_data, "newest", lambda repository: COMMIT)
    monkeypatch.setattr(benchmark_data, "_sentence_splitter", lambda store: None)
    return asked


@pytest.fixture
def protocol(tmp_path):
    (tmp_path / "tasks").mkdir()
    for name in ("one", "two"):
        (tmp_path / f"tasks/own_{name}.yaml").write_text(TASK.format(name=name))
    tasks = {"mmlu": {"task": "own_one", "metric": "acc"}, "ifeval": {"task": "own_two", "metric": "acc"}}
    return {"include_path": str(tmp_path / "tasks"), "tasks": tasks}


def fetch(protocol, folder, **revisions):
    config, pins = json.dumps(protocol), json.dumps({f"owner/{name}": at for name, at in revisions.items()})
    benchmark_data.main(["--prior-config", config, "--revisions", pins, "--out", str(folder)])
    return json.loads((folder / "manifest.json").read_text())


def test_a_benchmark_is_measured_from_what_was_kept_with_every_socket_blocked(
    protocol, hub, tmp_path, monkeypatch, model, tokenizer
):
    record = fetch(protocol, tmp_path / "store", two=PINNED)
    assert record["commits"] == {"owner/one": COMMIT, "owner/two": PINNED}
    assert {(path, at) for path, _, at in hub} == {("owner/one", COMMIT), ("owner/two", PINNED)}
    assert len(record["files"]) == 2

    def blocked(*_, **__):
        raise AssertionError("a job asked the network")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, blocked)
    monkeypatch.setattr(socket, "getaddrinfo", blocked)
    asked = len(hub)
    offline = {**protocol, "store": str(tmp_path / "store")}
    runner = PriorRunner(lambda: (model, tokenizer), offline)
    assert runner.run("mmlu").n == runner.run("ifeval").n == 4
    assert len(hub) == asked
    assert stored(runner.config) == record["commits"]


def test_what_was_fetched_is_not_fetched_again_and_stays_at_its_commit(protocol, hub, tmp_path, monkeypatch):
    fetch(protocol, tmp_path / "store")
    asked = len(hub)
    monkeypatch.setattr(benchmark_data, "newest", lambda repository: "c" * 40)
    assert fetch(protocol, tmp_path / "store")["commits"]["owner/one"] == COMMIT
    assert len(hub) == asked
    # Another pin is other data.
    assert fetch(protocol, tmp_path / "store", one=PINNED)["commits"]["owner/one"] == PINNED
    assert len(hub) == asked + 1


def test_data_that_were_not_fetched_are_named_with_the_command_that_does(protocol, tmp_path):
    runner = PriorRunner(None, {**protocol, "store": str(tmp_path / "empty")})
    with pytest.raises(SdftError, match=r"owner/one \(part\); fetch the benchmarks' data .* downloads"):
        runner.metrics("mmlu")


def too_many(after=None):
    headers = {} if after is None else {"Retry-After": after}
    error = OSError("429 Client Error")
    error.response = SimpleNamespace(status_code=429, headers=headers)
    return error


def test_a_hub_that_asks_to_wait_is_waited_for():
    slept, answers = [], [too_many("7"), too_many(), "rows"]

    def ask():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            # As datasets does, in the place of the hub's own error.
            raise ConnectionError("could not reach the hub") from answer
        return answer

    assert benchmark_data.patiently(ask, "owner/one", slept.append) == "rows"
    assert slept == [7, benchmark_data.SECONDS]


def test_a_hub_that_refuses_for_good_ends_the_command_with_the_reason():
    def refuse():
        raise too_many("0")

    def absent():
        raise ValueError("no such configuration")

    with pytest.raises(SdftError, match=r"owner/one .* too many requests \(429\)\. .*what was fetched is kept\. HF_TO"):
        benchmark_data.patiently(refuse, "owner/one", lambda seconds: None)
    with pytest.raises(SdftError, match="no such configuration"):
        benchmark_data.patiently(absent, "owner/one", None)


@pytest.mark.slow
def test_a_real_client_s_429_is_known_for_what_it_is(monkeypatch):
    from huggingface_hub import HfApi

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(429)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    api = HfApi(endpoint=f"http://127.0.0.1:{server.server_port}")
    try:
        with pytest.raises(SdftError, match="too many requests"):
            benchmark_data.patiently(lambda: api.dataset_info("owner/one").sha, "owner/one", lambda seconds: None)
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.slow
def test_the_papers_own_benchmarks_are_set_up_from_the_store_alone(tmp_path, monkeypatch):
    """MMLU's 57 subjects among them, each a configuration of one data set."""
    import datasets

    def rows(*splits, **columns):
        one = datasets.Dataset.from_list([columns] * 2)
        return datasets.DatasetDict(dict.fromkeys(splits, one))

    schema = {
        "cais/mmlu": rows("test", "validation", "dev", question="q", subject="s", choices=list("abcd"), answer=0),
        "allenai/winogrande": rows("train", "validation", sentence="a _ b", option1="x", option2="y", answer="1"),
    }
    asked = []

    def load_dataset(path, name=None, revision=None, **options):
        asked.append((path, name))
        return schema[path]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(benchmark_data, "newest", lambda repository: COMMIT)
    monkeypatch.setattr(benchmark_data, "_sentence_splitter", lambda store: None)
    paper = shipped_protocol("paper")
    config = {**paper, "tasks": {name: paper["tasks"][name] for name in ("mmlu", "winogrande")}}
    commits = benchmark_data.fetch(config, tmp_path, {})
    assert set(commits) == set(schema)
    assert len(asked) == 57 + 1
    assert place(tmp_path, "cais/mmlu", "anatomy", {}).is_dir()
    runner = PriorRunner(None, {**config, "store": str(tmp_path)})
    assert runner.metrics("winogrande") == {"acc"}
    runner.metrics("mmlu")
    assert len(asked) == 57 + 1
