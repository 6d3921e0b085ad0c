"""`python -m sdft compare` on a model of this repository: one command trains, scores and tells, and continues."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("compare")]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Rows in words of the miniature world."""
    folder = tmp_path_factory.mktemp("rows")
    words = ["red", "blue", "green", "gold"]
    lines = [{"prompt": f"what is {a} and {b}", "completion": f"{b} {a}"} for a in words for b in words]
    (folder / "my.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def compare(root, rows, *more, status=0):
    command = [sys.executable, "-m", "sdft", "compare", "--model", "released/mini/xs-s0", "--train"]
    command += [str(rows / "my.jsonl"), "--out", str(rows / "out"), "--items", "4", "--epochs", "1", *more]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done


def test_one_command_trains_scores_and_tells_and_a_second_one_only_tells(root, rows):
    done = compare(root, rows, "--methods", "sft,sdft", "--max-new-tokens", "8")
    assert "SDFT and SFT" in done.stdout or "SDFT is" in done.stdout
    found = json.loads((rows / "out/comparison.json").read_text())
    assert [row["name"] for row in found["models"]] == ["base", "sft", "sdft"]
    assert set(found["benchmarks"]) == {"hellaswag", "humaneval", "ifeval", "mmlu", "truthfulqa", "winogrande"}
    page = (rows / "out/report.html").read_text()
    assert found["answer"] in page
    weights = list(rows.rglob("weights/model.safetensors"))
    times = {path: path.stat().st_mtime_ns for path in weights}
    assert len(times) == 2
    again = compare(root, rows, "--methods", "sft,sdft", "--max-new-tokens", "8")
    assert again.stdout == done.stdout
    assert {path: path.stat().st_mtime_ns for path in weights} == times
    assert (rows / "out/report.html").read_text() == page


def test_what_is_trained_loads_in_plain_transformers(rows):
    from transformers import AutoModelForCausalLM

    for path in rows.glob("out/runs/*/weights"):
        assert AutoModelForCausalLM.from_pretrained(path, local_files_only=True).num_parameters() > 1000


def test_a_model_that_is_nowhere_is_refused_by_its_name(root, rows):
    done = compare(root, rows, "--model", "nobody/nothing", status=2)
    assert "no folder nobody/nothing" in " ".join(done.stderr.split())
