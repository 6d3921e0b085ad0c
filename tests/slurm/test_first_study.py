"""A study whose nodes have no network, whose hub refuses, whose card is too small and whose job runs out of time."""

from __future__ import annotations

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cluster import ROOT, wait_until
from interruptions import lines, world_of_learning
from study import Study

from sdft.evaluate import sandbox

pytestmark = pytest.mark.slow

FOLDER = ROOT / "tests/slurm/first_contact"
COMMIT = "a" * 40
SMALL = ("--retries", "0", "--keep-going", "--config", "scale=mini")
TASK = """task: own_{name}
dataset_path: owner/{name}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{prompt}}}}"
doc_to_choice: choices
doc_to_target: gold
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""
CARDS = """
import sys
from importlib.abc import MetaPathFinder


class Small(MetaPathFinder):
    # Says which GPU there is, in the one place that is asked, as soon as somebody is about to ask.
    def find_spec(self, name, path, target=None):
        if name == "sdft.study.cards":
            devices = sys.modules["sdft.models.devices"]
            devices.usable_gpus = lambda most=None: ([devices.Gpu("NVIDIA T4", 0.00001)], None)


sys.meta_path.insert(0, Small())
"""


class Hub(BaseHTTPRequestHandler):
    """Answers 429 until it is told not to, then with a data set's newest commit."""

    def do_GET(self):
        self.server.asked += 1
        known = json.dumps({"id": "owner/one", "sha": COMMIT, "siblings": [], "tags": []}).encode()
        content = b"" if self.server.refuses else known
        self.send_response(429 if self.server.refuses else 200)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.refuses, server.asked = True, 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def make_world(folder: Path, results: Path) -> None:
    """Runs, a model, two benchmarks, and the data sets that the hub has, which lie under their names."""
    learning = world_of_learning()
    (folder / "runs").mkdir(parents=True)
    (folder / "tasks").mkdir()
    learning.make_base(folder / "base")
    learning.write_records(folder / "train.jsonl", learning.make_records())
    for name, epochs in (("long", 150), ("small", 1)):
        spec = learning.make_spec(folder, "sdft", epochs=epochs, checkpoint_steps=50)
        (folder / f"runs/{name}.json").write_text(spec.model_dump_json())
    for name in ("one", "two"):
        (folder / f"tasks/own_{name}.yaml").write_text(TASK.format(name=name))
        (folder.parent / "owner" / name).mkdir(parents=True)
        rows = [{"prompt": f"w{n}", "choices": ["w3", "w4 w5"], "gold": n % 2} for n in range(4)]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder.parent / "owner" / name / "test.jsonl").write_text(text)
    tasks = {"mmlu": {"task": "own_one", "metric": "acc"}, "ifeval": {"task": "own_two", "metric": "acc"}}
    protocol = {"include_path": str(folder / "tasks"), "tasks": tasks}
    store = str(results / "prior")
    fetch = {"prior_config": protocol, "revisions": {"owner/two": "b" * 40}, "out": store}
    (folder / "fetch.json").write_text(json.dumps(fetch))
    measure = {"model": str(folder / "base.json"), "benchmarks": ["all"], "out": str(results / "scores")}
    (folder / "measure.json").write_text(
        json.dumps(measure | {"prior_config": protocol | {"store": store}, "dtype": "float32"})
    )
    (folder / "sitecustomize.py").write_text(CARDS)


def test_the_study_ends_or_says_why_and_nothing_is_lost(cluster, tmp_path, hub):
    if not sandbox.available():
        pytest.skip("namespaces are not allowed here")
    shutil.copy(FOLDER / "config.yaml", tmp_path)
    results, world = tmp_path / "results/mini", tmp_path / "world"
    make_world(world, results)
    study = Study(cluster, tmp_path, FOLDER / "Snakefile")
    hidden = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HOME": str(tmp_path / "cache")}
    study.env = {name: value for name, value in study.env.items() if not name.startswith("HF_")} | hidden
    try:
        before = set(cluster.jobs())
        process = study.start(*SMALL)
        job = cluster.wait_for_job("long", seconds=180)
        wait_until(lambda: lines(results / "long") > 60, 300, "some checkpoints are there")
        # What --signal does before the time limit: the steps are told, and the job still counts as running.
        cluster.run("scancel", "--signal=TERM", job)
        assert study.wait(process, 400) == 1, study.log()

        # The hub refused, and the card is too small: each says so, and how to go on.
        assert hub.asked > 1
        assert "too many requests (429)" in (results / "logs/prior.log").read_text()
        small = " ".join((results / "logs/small.log").read_text().split())
        assert "NVIDIA T4 has 0.0, of which 95 % can be used. Nothing was loaded" in small
        assert "too many requests (429)" in study.log()
        # Out of time: started again under its own id, without a failure, and without losing a step.
        ran = [name for name, (state, _, comment) in cluster.jobs().items() if name not in before and "long" in comment]
        assert ran == [job]
        assert "Restarts=1" in cluster.run("scontrol", "show", "job", job)
        assert json.loads((results / "long/model.json").read_text())["steps"] == 450
        assert "continuing sdft-test after step" in (results / "logs/long.log").read_text()

        hub.refuses = False
        (world / "sitecustomize.py").write_text(CARDS.replace("0.00001", "80"))
        assert study.run(*SMALL, seconds=400) == 0, study.log()
        assert json.loads((results / "prior/manifest.json").read_text())["commits"]["owner/one"] == COMMIT
        assert json.loads((results / "scores/mmlu.json").read_text())["n"] == 4
    finally:
        study.stop()
        cluster.cancel_all()
