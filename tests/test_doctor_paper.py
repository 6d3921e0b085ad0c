"""The doctor's checks of the paper's scale name what is missing before GPU time is spent on it."""

from __future__ import annotations

import pytest

from sdft.config import Judge, Source
from sdft.evaluate import sandbox
from workflow_scripts.checks import Doctor, paper


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
    monkeypatch.setattr(paper, "answers", lambda url: "no answer")
    found = [*paper.data(Doctor()), *paper.models(Doctor())]
    assert len(found) == 8
    assert {one.status for one in found} == {"fail"}
    monkeypatch.setattr(paper, "answers", lambda url: None)
    assert {one.status for one in (*paper.data(Doctor()), *paper.models(Doctor()))} == {"ok"}


def test_a_refused_connection_is_an_answer_in_words():
    assert "no answer" in paper.answers("http://127.0.0.1:9/x")


def test_a_tokenizer_without_chat_template_is_found(scale, tmp_path):
    models = paper.scale().models
    name = models.names[0]
    source = models.sources[name].model_copy(update={"path": str(tmp_path)})
    scale(models=models.model_copy(update={"sources": {name: source}}))
    (found,) = paper.models(Doctor())
    assert found.status == "fail"
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (found,) = paper.models(Doctor())
    assert "chat template" in found.message
    (tmp_path / "chat_template.jinja").write_text("x")
    (found,) = paper.models(Doctor())
    assert found.status == "ok"


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
