"""The doctor's checks of the paper's scale name what is missing before GPU time is spent on it."""

from __future__ import annotations

import errno
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sdft.common.errors import SdftError
from sdft.data.schema import Source, Writer
from sdft.evaluate import sandbox
from sdft.evaluate.prior import data_sets
from sdft.evaluate.store import place
from sdft.study.plan import Plan
from sdft.study.schema import Judge
from workflow_scripts import checks
from workflow_scripts.checks import Doctor, paper
from workflow_scripts.doctor import examine, main


@pytest.fixture
def scale(monkeypatch):
    """Replaces parts of the configured scale for one test."""
    own = paper.scale()

    def change(**parts):
        monkeypatch.setattr(paper, "scale", lambda: own.model_copy(update=parts))

    return change


def test_a_missing_local_file_and_a_wrong_one_are_found(tmp_path):
    (tmp_path / "other.json").write_text("[]")
    gone = paper.source_finding("x", Source(path=str(tmp_path / "gone.json")))
    wrong = paper.source_finding("x", Source(path=str(tmp_path / "other.json"), sha256="0" * 64))
    right = paper.source_finding("x", Source(path=str(tmp_path / "other.json")))
    assert [found.status for found in (gone, wrong, right)] == ["fail", "fail", "ok"]
    assert gone.remedy


def test_a_path_whose_variable_is_not_set_is_found(monkeypatch):
    monkeypatch.delenv("SDFT_NOWHERE", raising=False)
    found = paper.source_finding("x", Source(path="$SDFT_NOWHERE/train.json"))
    assert found.status == "fail"
    assert "$SDFT_NOWHERE/train.json holds a variable that is not set" in found.message
    assert found.remedy


def test_every_upstream_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(paper, "request", lambda url, method: (None, "no answer"))
    found = [*paper.data(Doctor()), *paper.models(Doctor())]
    # Three tasks' two files, general prompts, and the models of Table 5, Table 2 and Figure 5.
    assert len(found) == 7 + 4
    assert {one.status for one in found} == {"fail"}
    config = '{"max_position_embeddings": 32768, "chat_template": ""}'
    monkeypatch.setattr(paper, "request", lambda url, method: (config, None))
    assert {one.status for one in (*paper.data(Doctor()), *paper.models(Doctor()))} == {"ok"}


def test_a_refused_connection_is_an_answer_in_words():
    assert "no answer" in paper.answers("http://127.0.0.1:9/x")


def test_a_tokenizer_without_chat_template_is_found(scale, tmp_path):
    models = paper.scale().models
    name = models.names[0]
    source = models.sources[name].model_copy(update={"path": str(tmp_path)})
    scale(models=models.model_copy(update={"sources": {name: source}}), studies={})
    (found,) = paper.models(Doctor())
    assert found.status == "fail"
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (found,) = paper.models(Doctor())
    assert "chat template" in found.message
    (tmp_path / "chat_template.jinja").write_text("x")
    (found,) = paper.models(Doctor())
    assert found.status == "ok"
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 4095}')
    (found,) = paper.models(Doctor())
    assert found.status == "fail"
    assert "4095 tokens is too short: 4096 are needed" in found.message


def test_a_model_that_thinks_or_sees_articles_needs_a_longer_context(scale):
    assert paper.context_needed("Olmo-3-7B-Think") == 16384 + paper.LONGEST_PROMPT
    assert paper.context_needed("Qwen2.5-14B-Instruct") == 2048 + paper.LONGEST_PROMPT
    # An article stands in the teacher's prompt, and in the base model's for the oracle.
    assert paper.context_needed("Qwen2.5-7B-Instruct") == 2048 + paper.LONGEST_ARTICLE
    studies = dict(paper.scale().studies)
    studies["knowledge"] = studies["knowledge"].model_copy(update={"contexts": []})
    scale(studies=studies)
    assert paper.context_needed("Qwen2.5-7B-Instruct") == 1024 + paper.LONGEST_ARTICLE
    del studies["knowledge"]
    scale(studies=studies)
    assert paper.context_needed("Qwen2.5-7B-Instruct") == 2048 + paper.LONGEST_PROMPT


def test_the_engine_of_a_study_s_arm_counts_too(monkeypatch):
    own = paper.study().settings_of("paper", "sdft")

    class Study:
        @staticmethod
        def settings_of(_, arm):
            return own.model_copy(update={"rollout_engine": "vllm" if arm == "sdft.text" else "transformers"})

    here = paper.scale()
    monkeypatch.setattr(paper, "scale", lambda: here)
    monkeypatch.setattr(paper, "study", Study)
    monkeypatch.setattr(paper.importlib.util, "find_spec", lambda name: None)
    assert paper.rollouts(Doctor()).status == "fail"


@pytest.fixture
def keyless(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_judge_without_key_fails_and_no_judge_is_disclosed(scale, keyless):
    assert [one.status for one in paper.judge(Doctor())] == ["warn"]
    scale(judge=Judge(model="gpt-5-mini"))
    assert [one.status for one in paper.judge(Doctor())] == ["fail"]


FAULTS = [
    ((200, "I would say that it is right."), "answers nonsense"),
    ((200, ""), "answers nonsense"),
    ((200, b"<html>"), "/v1"),
    ((401, "no"), "the API key was refused"),
    ((404, "no"), "no such model or address"),
    ((429, "no"), "too many requests"),
]


@pytest.mark.parametrize(("reply", "words"), FAULTS)
def test_a_judge_that_is_of_no_use_is_found_by_one_short_question(scale, keyless, endpoint_server, reply, words):
    server = endpoint_server(lambda *_: reply)
    scale(judge=Judge(model="a", base_url=server.address))
    (found,) = paper.judge(Doctor())
    assert found.status == "fail"
    assert words in found.message
    assert found.remedy
    assert len(server.requests) <= 2


def test_each_judge_is_asked_and_nothing_is_kept(scale, keyless, endpoint_server, tmp_path):
    server = endpoint_server(lambda number, body: (200, "**Correct**" if body["model"] == "a" else "hm"))
    cache = tmp_path / "cache"
    scale(judge=Judge(model="a", second_model="b", base_url=server.address, cache=str(cache)))
    for _ in range(2):
        assert [one.status for one in paper.judge(Doctor())] == ["ok", "fail"]
    assert [body["model"] for body in server.requests] == ["a", "b"] * 2
    assert not cache.exists()


def test_a_dead_address_is_found(scale, keyless):
    scale(judge=Judge(model="a", base_url="http://127.0.0.1:9/v1"))
    (found,) = paper.judge(Doctor())
    assert found.status == "fail"
    assert "http://127.0.0.1:9/v1" in found.message


PAIRS = json.dumps([{"question": "When was the bridge of Lorn opened?", "answer": "On 3 May 1931."}])


@pytest.mark.parametrize(("reply", "words"), [*FAULTS, ((200, PAIRS), None)])
def test_a_writer_that_is_of_no_use_is_found(scale, keyless, endpoint_server, reply, words):
    server = endpoint_server(lambda *_: reply)
    data = paper.scale().data
    rules = data.tasks["knowledge"].model_copy(update={"writer": Writer(model="a", base_url=server.address)})
    scale(data=data.model_copy(update={"tasks": data.tasks | {"knowledge": rules}}))
    *_, found = paper.knowledge(Doctor())
    assert found.status == ("warn" if words else "ok")
    assert (words or "writes questions") in found.message
    assert bool(found.remedy) == bool(words)


class Redirects(BaseHTTPRequestHandler):
    """Sends everybody to the same path of another address, and notes who was shown which token."""

    def do_HEAD(self):
        self.server.shown.append(self.headers.get("Authorization"))
        self.send_response(302 if self.server.target else 200)
        if self.server.target:
            self.send_header("Location", self.server.target + self.path)
        self.end_headers()

    # Which urllib asks for after a redirection.
    do_GET = do_HEAD

    def log_message(self, *_):
        pass


@pytest.fixture
def redirects():
    servers = []

    def start(target=None):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Redirects)
        server.shown, server.target = [], target
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_token_is_shown_to_the_hub_alone(redirects, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    other = redirects()
    hub = redirects(f"http://127.0.0.1:{other.server_port}")
    address = f"http://127.0.0.1:{hub.server_port}/x"
    assert paper.answers(address) is None
    assert (hub.shown, other.shown) == ([None], [None])
    monkeypatch.setattr(paper, "TOKEN_HOST", "127.0.0.1")
    assert paper.answers(address) is None
    assert (hub.shown[1:], other.shown[1:]) == (["Bearer secret"], [None])


def test_the_data_of_all_six_benchmarks_are_known():
    found = data_sets(Plan(paper.study(), "paper").prior_config())
    assert set(found) == {
        *("Rowan/hellaswag", "openai/openai_humaneval", "google/IFEval", "cais/mmlu", "truthfulqa/truthful_qa"),
        "allenai/winogrande",
    }
    assert len(found["cais/mmlu"]) == 57
    assert found["allenai/winogrande"] == ["winogrande_xl"]


def test_benchmarks_whose_data_are_not_here_are_looked_for_on_the_hub(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    store = tmp_path / "results/paper/data/prior"
    for path, part in (("google/IFEval", None), ("allenai/winogrande", "winogrande_xs"), ("cais/mmlu", "anatomy")):
        folder = place(store, path, part, {})
        folder.mkdir(parents=True)
        (folder / "commit.json").write_text('"abc"')
    monkeypatch.setattr(paper, "answers", lambda url: "HTTP status 500" if "hellaswag" in url else None)
    found = {one.message.split(":")[0].split()[0]: one for one in paper.benchmark_data(Doctor())}
    # Winogrande is here in another size alone, and of MMLU one subject.
    assert {name: one.status for name, one in found.items()} == {
        "Rowan/hellaswag": "fail",
        "openai/openai_humaneval": "warn",
        "google/IFEval": "ok",
        "cais/mmlu": "warn",
        "truthfulqa/truthful_qa": "warn",
        "allenai/winogrande": "warn",
    }
    assert all("downloads" in one.remedy for one in found.values() if one.status != "ok")


def test_a_check_that_breaks_is_a_failure(monkeypatch):
    def broken(doctor):
        yield checks.Finding("ok", "so far")
        raise ZeroDivisionError("by zero")

    def refused(doctor):
        raise SdftError("config.yaml is not valid.")

    def full(doctor):
        raise OSError(errno.ENOSPC, "", "results/probe")

    entries = [("x", "a", broken), ("x", "b", refused), ("x", "c", refused), ("x", "d", full)]
    monkeypatch.setattr("workflow_scripts.doctor.CHECKS", entries)
    found = [(title, one.status, one.message) for _, title, one in examine(Doctor(), ["x"])]
    assert found.pop()[2].startswith("results/probe: No space left on device: the disk is full")
    assert found == [
        ("a", "ok", "so far"),
        ("a", "fail", "the check itself failed: ZeroDivisionError: by zero"),
        ("b", "fail", "config.yaml is not valid."),
    ]


def test_an_invalid_configuration_is_one_failure(monkeypatch, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("seedz: [1]")
    monkeypatch.setattr(paper, "ROOT", tmp_path)
    paper.study.cache_clear()
    try:
        assert main(["paper"]) == 1
    finally:
        monkeypatch.undo()
        paper.study.cache_clear()
    said = capsys.readouterr().out
    assert sum(line.startswith("FAIL") for line in said.splitlines()) == 1
    assert "FAIL configuration" in said
    assert "seedz" in said


def test_a_machine_without_sandbox_is_found(monkeypatch):
    monkeypatch.setattr(sandbox, "available", lambda mode="sandbox": False)
    assert paper.programs(Doctor()).status == "fail"


class Upstream(BaseHTTPRequestHandler):
    """A hub on which one file has moved, one is gated, and a model has neither chat template nor context."""

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        moved = any(word in self.path for word in ("tooluse", "chat_template.jinja", "winogrande"))
        status = 404 if moved else 401 if "verifiable" in self.path else 200
        content = b'{"max_position_embeddings": 2048}' if status == 200 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def upstream(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(paper, "GITHUB", address + "/{repository}/{revision}/{file}")
    monkeypatch.setattr(paper, "HUB", address + "/{kind}{repository}/{revision}/{file}")
    monkeypatch.setattr(paper, "DATA_SET", address + "/{repository}")
    yield address
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_one_pass_finds_every_fault(upstream, scale, monkeypatch, tmp_path):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(paper, "UPSTREAM", tmp_path)
    monkeypatch.chdir(tmp_path)
    data = paper.scale().data
    source = data.tasks["science"].test
    kept = tmp_path / source.github / source.revision[:12] / source.file
    kept.mkdir(parents=True)
    (kept / "data-00000-of-00001.arrow").write_text("not what was pinned")
    scale(judge=Judge(model="gpt-5-mini"))
    found = [finding for _, _, finding in examine(Doctor(), ["paper"])]

    def named(*words, status="fail"):
        return any(one.status == status and one.remedy and all(word in one.message for word in words) for one in found)

    assert named("tooluse train", "not there any more")
    assert named("medical test", "access is refused", "HF_TOKEN")
    assert named("science test", "sha256")
    assert named("Qwen2.5-7B-Instruct", "no chat template")
    assert named("Qwen2.5-7B-Instruct", "context of 2048 tokens is too short")
    assert named("allenai/winogrande", "not there any more")
    assert named("cais/mmlu", "not here yet", status="warn")
    assert named("judge gpt-5-mini", "no API key")
    assert named("writer gpt-5", "no API key", status="warn")
    assert named("Hurricane Melissa has no revision", status="warn")
    assert named("sdft-tooluse-7b", "no revision", status="warn")
    assert not any("the check itself failed" in one.message for one in found)
