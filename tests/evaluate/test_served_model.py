"""Judge and writer against a real server of the API, `transformers serve`, with a miniature model that talks nonsense.

The server needs fastapi and uvicorn, which only the tests need.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from sdft.common.endpoint import Endpoint
from sdft.common.errors import SdftError
from sdft.data.knowledge.questions import Distinct, write_pairs
from sdft.data.schema import TaskArticles
from sdft.evaluate.judge import Response, judge_all, main, prompt
from sdft.records.record import Record, write_records
from sdft.study.schema import Judge

SECONDS = 600

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("fastapi", "uvicorn")),
        reason="transformers serve needs fastapi and uvicorn (requirements.txt)",
    ),
]


@pytest.fixture(scope="module")
def server(request, tmp_path_factory):
    """Address and model name of a served miniature model."""
    root = request.config.rootpath
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    model = str(root / "released/mini/m-s2")
    code = "from transformers.cli.transformers import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "serve",
        model,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--device",
        "cpu",
    ]
    log = tmp_path_factory.mktemp("serve") / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, cwd=root, stdout=output, stderr=output, env={**os.environ, "HF_HUB_OFFLINE": "1"}
        )
    try:
        for _ in range(SECONDS):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
            except OSError:
                assert process.poll() is None, log.read_text()[-2000:]
                time.sleep(1)
        else:
            pytest.fail(f"no answer in {SECONDS} s: {log.read_text()[-2000:]}")
        yield f"http://127.0.0.1:{port}/v1", model
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture
def config(server, tmp_path):
    address, model = server
    return Judge(model=model, base_url=address, cache=str(tmp_path / "cache"), attempts=1, parallel=1, max_tokens=6)


ITEMS = [Response(f"medical-{n}", f"which organ is ill ? {n}", "the heart", "the heart is ill .") for n in range(3)]


def test_nonsense_is_no_label_and_the_judge_is_refused_with_an_example_of_it(config):
    with pytest.raises(SdftError, match=r"gave no label in 3 of 3 replies \(one of them: '\w.*larger judge.max_tokens"):
        judge_all("medical", ITEMS, config)


def test_a_label_among_nonsense_counts_and_the_nonsense_never_as_correct(config, tmp_path):
    """99 verdicts that were asked for before, and one reply of the served model: unreadable, and not correct."""
    items = [Response(f"medical-{n}", f"question {n}", "reference", "response") for n in range(100)]
    endpoint = Endpoint(config, config.model, "judge")
    for item in items[:99]:
        path = endpoint.path(prompt("medical", item))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"model": config.model, "reply": "CORRECT"}))
    scores, data = tmp_path / "scores", tmp_path / "test.jsonl"
    scores.mkdir()
    with gzip.open(scores / "responses.jsonl.gz", "wt") as handle:
        for item in items:
            row = {"benchmark": "medical", "id": item.id, "correct": 1, "response": item.text}
            handle.write(json.dumps(row) + "\n")
    offline = {"benchmark": "medical", "n": 100, "metric": "accuracy", "value": 1.0, "metrics": {"accuracy": 1.0}}
    (scores / "medical.json").write_text(json.dumps(offline))
    write_records(data, [Record(i.id, [{"role": "user", "content": i.question}], {}, i.reference) for i in items])
    arguments = ["--task", "medical", "--scores", str(scores), "--data", str(data), "--out", str(tmp_path / "out")]
    main([*arguments, "--config", config.model_dump_json()])
    result = json.loads((tmp_path / "out" / "medical.json").read_text())
    assert result["metrics"]["labels"] == {"CORRECT": 99, "INCORRECT": 0, "None": 1}
    assert result["metrics"]["unreadable"] == 1
    assert result["value"] == pytest.approx(0.99)


def test_an_unknown_model_is_named(config):
    with pytest.raises(SdftError, match="the judge no-such-model at http"):
        judge_all("medical", ITEMS[:1], config.model_copy(update={"model": "no-such-model"}))


def test_a_writer_of_nonsense_writes_no_question(config):
    rules = TaskArticles.model_validate({"articles": [{"title": "Lands"}], "rounds": 2})
    endpoint = Endpoint(config, config.model, "writer")
    with pytest.raises(SdftError, match=r"gave 0 usable direct questions about 'Lands' in 2 rounds.*2 unreadable"):
        write_pairs(endpoint, "direct", "Lands", "a land is a land .", 3, rules, Distinct(90))
