"""The status page over a results folder in every state. No cluster is needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cluster import ROOT

from sdft.common.errors import SdftError
from sdft.config import load_config
from sdft.study.forecast import device_hours, forecast, job_start, makespan
from sdft.study.plan import Plan
from workflow_scripts import status


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "config.yaml", tmp_path)
    return Plan(load_config(), "smoke")


def write(path, value):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def steps(*losses):
    return "".join(json.dumps({"step": i + 1, "loss": loss, "seconds": 2.0}) + "\n" for i, loss in enumerate(losses))


def look(plan, jobs=(), target="all"):
    """The runs, the work of the target, and what the terminal shows of them."""
    work = forecast(plan, target)[0]
    runs = status.plan_runs(plan, list(jobs), work, target)
    return runs, work, "\n".join(status.terminal(status.summary(plan, runs, work, target), runs, list(jobs), []))


def time_left(plan):
    runs, work, _ = look(plan, target="table5")
    return status.left(plan, runs, work)


def test_each_run_is_in_the_state_that_its_files_say(plan):
    done, running, stopped, queued = plan.candidates("science", "sft") + plan.candidates("science", "sdft")
    write(plan.validation_path(done), {"manifest": {"seconds": 90.0}})
    write(f"{plan.run_folder(running)}/state/metrics.jsonl", steps(2.0, 1.0) + '{"step": 3, "lo')
    old = f"{plan.run_folder(stopped)}/state/metrics.jsonl"
    write(old, steps(2.0))
    os.utime(old, (time.time() - 3600,) * 2)
    job = status.Job("12", "PENDING", f"candidate smoke_science_sdft_{queued.id}", "0:00", "8:00:00", "Priority")
    runs, _, text = look(plan, [job])
    found = {run.id: run for run in runs}
    assert [found[run.id].state for run in (done, running, stopped, queued)] == [
        "finished",
        "running",
        "interrupted",
        "queued",
    ]
    assert found[running.id].steps == 2
    assert found[queued.id].job.where == "Priority"
    assert "table5: candidates 1 of 6 finished (1 running, 1 interrupted, 1 queued, 2 to do); final runs 0 of" in text
    assert f"{running.id}  running  step 2  loss 1" in text


def test_what_is_left_is_what_the_budget_says_less_what_has_been_done(plan):
    jobs, _ = forecast(plan)
    hours, seconds = time_left(plan)
    assert hours == pytest.approx(device_hours(jobs))
    assert seconds == pytest.approx(makespan(jobs, plan.config.budget.cores, job_start(plan)))
    first, second = plan.candidates("science", "sft")
    write(plan.validation_path(first), {"manifest": {"seconds": 90.0}})
    cost = {job.output: job.forecast for job in jobs}
    after, _ = time_left(plan)
    assert 3600 * (hours - after) == pytest.approx(cost[plan.validation_path(first)])
    write(f"{plan.run_folder(second)}/metrics.jsonl", steps(1.0))
    # As much as its steps took, and no more than it was forecast at.
    assert 3600 * (after - time_left(plan)[0]) == pytest.approx(min(2.0, cost[plan.validation_path(second)]))


@pytest.mark.slow
def test_runs_of_every_study_are_looked_at_and_only_what_has_begun_is_listed(plan):
    plan = Plan(plan.config.model_copy(deep=True), "paper")
    off = next(reversed(plan.scale.studies))
    plan.scale.studies[off] = plan.scale.studies[off].model_copy(update={"enabled": False})
    by_study = {}
    for run in plan.runs():
        if run.study not in ("sweep", "table5"):
            by_study.setdefault(run.study, run)
    assert len(by_study) > 3
    for run in by_study.values():
        write(f"{plan.run_folder(run)}/state/metrics.jsonl", steps(2.0, 1.0))
    runs, work, text = look(plan)
    planned = {job.output for job in work if job.output.endswith(("/model.json", "/validation.json"))}
    assert planned <= {run.output for run in runs}
    assert len(planned) > 300
    for study, run in by_study.items():
        assert f"  {run.id}  running  step 2  loss 1" in text
        assert f"{study}: " in text
    assert off in by_study
    assert {run.id for run in runs if run.study == off} == {by_study[off].id}
    assert len(text.splitlines()) < 3 * len(by_study) + 10
    assert "left for all: " in text


@pytest.mark.slow
def test_a_target_leaves_out_what_is_not_behind_it(plan):
    plan = Plan(plan.config, "paper")
    runs, _, text = look(plan, target="table5")
    assert {run.study for run in runs} == {"table5"}
    assert "left for table5: " in text
    with pytest.raises(SdftError, match="did you mean 'table5'"):
        status.main(["--target", "tabel5"])


def test_a_run_that_the_plan_has_no_more_is_seen_too(plan):
    write(f"{plan.root}/runs/table5/science-sft-s9-0123abcd/metrics.jsonl", steps(2.0, 1.0))
    write(f"{plan.root}/sweep/science/sft/science-sft-lr1-s9-0123abcd/validation.json", {})
    text = look(plan)[2]
    assert "other configurations: candidates 1 of 1 finished; final runs 0 of 1 finished (1 running)" in text
    assert "science-sft-s9-0123abcd  running  step 2" in text


def test_jobs_that_wait_are_counted():
    jobs = [status.Job(str(n), "PENDING", f"train paper_{n}", "0:00", "8:00:00", "Priority") for n in range(90)]
    jobs.append(status.Job("90", "RUNNING", "evaluate paper_x", "1:00", "4:00:00", "n1"))
    assert list(status.in_slurm(jobs)) == [
        "90  RUNNING  evaluate paper_x  1:00 of 4:00:00  n1",
        "90 PENDING  train  Priority",
    ]


@pytest.mark.slow
def test_hundreds_of_runs_are_looked_at_in_seconds(plan):
    plan = Plan(plan.config, "paper")
    for number, run in enumerate(plan.runs()):
        write(f"{plan.run_folder(run)}/metrics.jsonl", steps(*[1.0] * 1000) if number < 16 else "")
        if number >= 16:
            write(status.result_path(plan, run), {})
    # Of processor time, since other tests may run beside this one.
    begun = time.process_time()
    look(plan)
    assert time.process_time() - begun < 5


def test_squeue_says_since_when_and_where_a_job_runs(monkeypatch, tmp_path):
    lines = (
        f"7|RUNNING|sdft_ab|rule_train_wildcards_paper_x|1:02|8:00:00|n1|2026-11-22T10:00:00|{tmp_path}\n"
        f"8|PENDING|sdft_ab|rule_select|0:00|1:00:00|(Priority)|N/A|{tmp_path}\n"
        f"9|RUNNING|sdft_cd|rule_train|0:00|1:00:00|n1|N/A|/elsewhere\n"
        f"10|RUNNING|other|rule_train|0:00|1:00:00|n1|N/A|{tmp_path}\n"
    )
    monkeypatch.setattr(status.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, lines))
    first, second = status.slurm_jobs(tmp_path)
    assert (first.what, first.where, first.since) == ("train paper_x", "n1", "2026-11-22 10:00:00")
    assert (second.state, second.where, second.since) == ("PENDING", "Priority", "")


LOG = """\
Error in rule train:
    message: SLURM-job '9' failed, SLURM status is: 'FAILED'.
    jobid: 3
    output: results/smoke/runs/{name}/run.json, results/smoke/runs/{name}/model.json
    log: logs/{name}.log, results/slurm/9.log (check log file(s) for error details)
    shell:
        python -m sdft.train

"""


def test_a_failure_is_shown_with_its_last_lines_until_a_retry_succeeds(plan):
    write("snakemake.log", LOG.format(name="a") + LOG.format(name="b"))
    write("logs/a.log", "line\n" * 50 + "error: the disk is full\n")
    for name in ("run.json", "model.json"):
        write(f"results/smoke/runs/b/{name}", {})
    (failure,) = status.failures(Path("snakemake.log"))
    assert failure.rule == "train"
    assert failure.log == "logs/a.log"
    assert failure.lines[-1] == "error: the disk is full"
    assert len(failure.lines) == status.LOG_LINES
    assert status.failures(None) == []


class Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]


def test_the_page_stands_alone_and_says_what_the_terminal_says(plan):
    run = plan.candidates("science", "sft")[0]
    write(f"{plan.run_folder(run)}/state/metrics.jsonl", steps(2.0, 1.5, 1.0))
    failure = status.Failure("train", "<out>", "train.log", ("error: <disk>",))
    runs, work, _ = look(plan)
    text = status.page("smoke", status.summary(plan, runs, work, "all"), runs, [], [failure])
    parser = Balanced()
    parser.feed(text)
    assert parser.links == []
    assert 'http-equiv="refresh"' in text
    assert run.id in text
    assert "loss from 2 to 1" in text
    assert "error: &lt;disk&gt;" in text


def test_a_curve_falls_from_left_to_right():
    bars = status.curve(tuple(100.0 - i for i in range(100)), width=10)
    assert len(bars) == 10
    assert list(bars) == sorted(bars, reverse=True)
    assert status.curve((1.0, 1.0)) == "▁▁"
    assert status.curve(()) == ""
