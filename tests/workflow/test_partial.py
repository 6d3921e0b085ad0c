"""With `partial` the DAG shows what is there and makes nothing that would have to be trained or measured."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sdft.config import load_config
from sdft.study.exhibits.build import exhibit
from sdft.study.plan import Plan

OWN = ("Snakefile", "config.yaml", "config", "rules", "sdft", "notebooks", "workflow_scripts", "released", "benchmarks")


@pytest.fixture
def plan(root, tmp_path, monkeypatch):
    """The mini study in an empty folder, with the repository's code beside it."""
    for name in OWN:
        (tmp_path / name).symlink_to(root / name)
    monkeypatch.chdir(tmp_path)
    return Plan(load_config("config.yaml"), "mini")


def snakemake(*arguments):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def jobs(*arguments):
    """Jobs by rule, as a dry run counts them."""
    return dict(re.findall(r"^(\w+)\s+(\d+)$", snakemake("-n", *arguments), flags=re.MULTILINE))


def put(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def score(folder, names, right):
    """Scores as an evaluation leaves them: `right` of 8 items of each name."""
    lines = []
    for name in names:
        outcomes = [int(number < right) for number in range(8)]
        put(f"{folder}/{name}.json", json.dumps({"n": 8, "metric": "accuracy", "value": right / 8, "manifest": {}}))
        for number, correct in enumerate(outcomes):
            fields = {"correct": correct, "lenient": correct, "new_tokens": 10 + number}
            lines.append(json.dumps({"benchmark": name, "id": f"{name}-{number}", **fields}) + "\n")
    Path(folder, "responses.jsonl.gz").write_bytes(gzip.compress("".join(lines).encode()))


def half_done(plan, name, tasks, arms):
    """Write the scores of the base models and, for some arms, of the first seed alone."""
    found = exhibit(plan, name)
    for entry in found.base:
        score(entry.scores, tasks, 1)
    runs = [cell.runs[0] for cell in found.cells if cell.arm in arms]
    for run in runs:
        score(run.scores, tasks, 6)
        put(run.model, "{}")
    return [run.run for run in runs]


@pytest.mark.slow
def test_what_is_missing_says_not_run_and_nothing_is_trained(plan):
    done = half_done(plan, "table2", ["medical"], ["sft.answer_only"])
    done += half_done(plan, "figure7", ["knowledge", "knowledge_ood"], ["sdft.knowledge", "sdft.text"])
    # Newer data, of which Snakemake knows nothing else: without `partial` all that is there would be made again.
    time.sleep(0.02)
    put(plan.data_path("medical", "train"), "{}")
    assert {"candidate", "train", "evaluate_medical"} <= set(jobs("table2", "figure7"))
    partial = ("--config", "partial=true", "--", "table2", "figure7")
    expected = {"table": "1", "figure": "1", "table2": "1", "figure7": "1", "total": "4"}
    assert jobs(*partial) == expected

    before = {path: path.stat().st_mtime_ns for path in Path("results").rglob("*") if path.is_file()}
    snakemake(*partial)
    made = {path for path in Path("results").rglob("*") if path.is_file()} - set(before)
    assert {path.parts[2] for path in made} == {"tables", "figures", "logs"}
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())

    verdict = json.loads(Path("results/mini/tables/table2/verdict.json").read_text())
    lines = {row["label"]: row for row in verdict["rows"] if row["metric"] == "new_task"}
    assert lines["Base"]["mean"] == pytest.approx(12.5)
    assert (lines["SFT"]["mean"], lines["SFT"]["n_seeds"]) == (75, 1)
    assert lines["SFT"]["notes"] == [f"{len(plan.seeds) - 1} of {len(plan.seeds)} seeds not run"]
    assert (lines["SDFT"]["mean"], lines["SDFT"]["verdict"]) == (None, "NOT RUN")
    shown = Path("results/mini/tables/table2/table.md").read_text()
    assert re.search(r"^\| SDFT +\| NOT RUN \| NOT RUN \|$", shown, flags=re.MULTILINE)
    figure = json.loads(Path("results/mini/figures/figure7.json").read_text())
    assert {entry["arm"]: bool(entry.get("strict")) for entry in figure["bars"]} == {
        "sdft.answer": False,
        "sdft.text": True,
        "sdft.knowledge": True,
    }
    assert [entry["why"] for entry in figure["not_drawn"]] == ["NOT RUN"]
    assert {run for entry in figure["bars"] if entry.get("strict") for run in entry["strict"]["runs"]} <= set(done)
    assert Path("results/mini/figures/figure7.png").stat().st_size > 1000

    # Once more there is nothing to do; another result is taken up, and nothing else is made for it.
    assert "total" not in jobs(*partial)
    other = exhibit(plan, "table2").cells[1].runs[0]
    score(other.scores, ["medical"], 7)
    assert jobs(*partial) == {"table": "1", "table2": "1", "total": "2"}


@pytest.mark.slow
def test_the_whole_study_is_shown_without_any_result(plan):
    found = jobs("--config", "partial=true", "--", "all")
    made = {"table", "figure", "ledger", "render_report", "render_results"}
    assert set(found) == {*made, "all", "total"}
