"""The doctor's checks of the paper's scale name what is missing before GPU time is spent on it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sdft.config import Judge, Source
from sdft.evaluate import sandbox
from workflow_scripts.checks import Doctor, paper
from workflow_scripts.doctor import examine


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


def test_a_model_that_thinks_needs_a_longer_context():
    assert paper.context_needed("Olmo-3-7B-Think") == 16384 + paper.LONGEST_PROMPT
    assert paper.context_needed("Qwen2.5-14B-Instruct") == 2048 + paper.LONGEST_PROMPT


def test_a_judge_without_key_fails_and_no_judge_is_disclosed(scale, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    assert paper.judge(Doctor()).status == "warn"
    scale(judge=Judge(model="gpt-5-mini"))
    assert paper.judge(Doctor()).status == "fail"
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    assert paper.judge(Doctor()).status == "ok"


def test_a_machine_without_sandbox_is_found(monkeypatch):
    monkeypatch.setattr(sandbox, "available", lambda: False)
    assert paper.programs(Doctor()).status == "fail"


class Upstream(BaseHTTPRequestHandler):
    """A hub on which one file has moved, one is gated, and a model has neither chat template nor context."""

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        moved = "tooluse" in self.path or self.path.endswith("chat_template.jinja")
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
    yield address
    server.shutdown()
    server.server_close()


def test_one_pass_finds_every_fault(upstream, scale, monkeypatch, tmp_path):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(paper, "UPSTREAM", tmp_path)
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
    assert named("judge gpt-5-mini", "no API key")
    assert named("writer gpt-5", "no API key", status="warn")
    assert named("Hurricane Melissa has no revision", status="warn")
    assert named("sdft-tooluse-7b", "no revision", status="warn")
    assert not any("the check itself failed" in one.message for one in found)
