"""The guard's judgement of SLURM's answers, each against a plugin that would wait for ever. No cluster is needed."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import pytest
from cluster import ROOT

from workflow_scripts import slurm_guard
from workflow_scripts.slurm_guard import LASTING_POLLS, Watch

LOGGER = logging.getLogger("test")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def watch_over(job, answers, command="squeue --me", clock=None, run=None):
    """The states of a job that the plugin is told while SLURM gives these answers, one a poll."""

    async def nothing(*command):
        return ""

    remaining = iter(answers)

    async def query(command, logger):
        state = next(remaining)
        return ({} if state == "" else {job: state}, 0.01) if state is not None else (None, None)

    watch = Watch(query, clock or Clock(), run or nothing)
    watch.active = [job]
    told = []
    for _ in answers:
        states, _ = asyncio.run(watch.ask(command, LOGGER))
        told.append(None if states is None else states.get(job, ""))
        if clock:
            clock.now += 60
    return told


def test_who_cancelled_a_job_does_not_matter():
    assert watch_over("7", ["RUNNING", "CANCELLED by 1000"]) == ["RUNNING", "CANCELLED"]


@pytest.mark.parametrize("state", ["PREEMPTED", "NODE_FAIL"])
def test_a_job_that_stays_lost_has_failed(state):
    assert watch_over("7", [state] * LASTING_POLLS) == [state] * (LASTING_POLLS - 1) + ["FAILED"]


def test_a_job_that_slurm_starts_again_is_left_alone():
    answers = ["PREEMPTED", "PREEMPTED", "PENDING", "RUNNING", "PREEMPTED", "PREEMPTED", "COMPLETED"]
    assert watch_over("7", answers) == answers


def test_a_forgotten_job_has_ended():
    assert watch_over("7", ["RUNNING", "", "", ""]) == ["RUNNING", "", "", "UNKNOWN"]


def test_a_missing_answer_says_nothing_about_a_job():
    assert watch_over("7", ["", "", None, "RUNNING"]) == ["", "", None, "RUNNING"]


@pytest.mark.parametrize(
    ("reason", "told"),
    [("launch failed requeued held", "FAILED"), ("JobHeldUser", "PENDING"), ("Priority", "PENDING")],
)
def test_a_job_on_hold_after_a_failed_launch_is_cancelled_and_nobody_elses_hold(reason, told):
    commands = []

    async def run(*command):
        commands.append(command)
        return f"6|Priority\n7|{reason}\n" if command[0] == "squeue" else ""

    assert watch_over("7", ["PENDING"], run=run) == [told]
    assert (("scancel", "7") in commands) == (told == "FAILED")


def test_accounting_may_lag_behind():
    clock = Clock()
    told = watch_over("7", [""] * 15, command="sacct -X", clock=clock)
    assert told.index("UNKNOWN") * 60 == slurm_guard.LASTING_SECONDS["sacct"]


def fake_plugin(states):
    """A plugin whose executor forgets its jobs when no state could be had, as the real one does."""

    class Executor:
        _status_query_calls = 0
        next_seconds_between_status_checks = 180
        logger = LOGGER

        def __init__(self, workflow, logger):
            self.started = True

        async def check_active_jobs(self, jobs):
            found, _ = await plugin.query_job_status("squeue", LOGGER)
            if found is None:
                return
            self._status_query_calls += 1
            for job in jobs:
                if found.get(job.external_jobid) == "RUNNING":
                    yield job

        def run_jobs(self, jobs):
            pass

        async def sleep(self):
            await asyncio.sleep(self.next_seconds_between_status_checks)

    async def query_job_status(command, logger):
        return next(states)

    plugin = SimpleNamespace(
        Executor=Executor, query_job_status=query_job_status, get_min_job_age=lambda: None, set_gres_string=str
    )
    return plugin


def kept(executor, jobs):
    async def collect():
        return [job async for job in executor.check_active_jobs(jobs)]

    return asyncio.run(collect())


def test_jobs_are_kept_while_slurm_gives_no_answer(monkeypatch):
    monkeypatch.setattr(slurm_guard, "jobs_here", lambda *_: [])
    states = iter([(None, None), ({"1": "RUNNING", "2": "COMPLETED"}, 0.1), (None, None)])
    plugin = fake_plugin(states)
    slurm_guard.install("mini", plugin)
    executor = plugin.Executor(SimpleNamespace(executor_settings=SimpleNamespace(jobname_prefix="sdft")), LOGGER)
    jobs = [SimpleNamespace(external_jobid="1"), SimpleNamespace(external_jobid="2")]
    assert kept(executor, jobs) == jobs
    assert kept(executor, jobs) == jobs[:1]
    assert kept(executor, jobs[:1]) == jobs[:1]


def test_the_pause_between_two_looks_has_a_bound(monkeypatch):
    monkeypatch.setattr(slurm_guard, "jobs_here", lambda *_: [])
    monkeypatch.delenv("SDFT_SLURM_POLL", raising=False)
    assert slurm_guard.poll_seconds("mini") < 5 < slurm_guard.poll_seconds("paper")
    monkeypatch.setenv("SDFT_SLURM_POLL", "0.01")
    plugin = fake_plugin(iter([]))
    slurm_guard.install("paper", plugin)
    executor = plugin.Executor(SimpleNamespace(executor_settings=SimpleNamespace(jobname_prefix="sdft")), LOGGER)
    asyncio.run(asyncio.wait_for(executor.sleep(), 2))


def test_it_does_not_change_from_squeue_to_sacct_when_slurmctld_is_away():
    plugin = fake_plugin(iter([]))
    slurm_guard.install("mini", plugin)
    assert plugin.get_min_job_age() > 3 * 3600


def test_running_jobs_of_an_earlier_snakemake_refuse_a_start(monkeypatch):
    monkeypatch.setattr(slurm_guard, "jobs_here", lambda *_: ["12", "13"])
    plugin = fake_plugin(iter([]))
    slurm_guard.install("mini", plugin)
    with pytest.raises(Exception, match=r"\(12, 13\).*start\.py"):
        plugin.Executor(SimpleNamespace(executor_settings=SimpleNamespace(jobname_prefix="sdft")), LOGGER)


def test_another_version_of_the_plugin_is_refused(monkeypatch):
    monkeypatch.setattr(slurm_guard.metadata, "version", lambda name: "3.0.0")
    plugin = fake_plugin(iter([]))
    slurm_guard.install("mini", plugin)
    with pytest.raises(Exception, match=r"version 3\.0\.0.*pip install"):
        plugin.Executor(None, LOGGER)


def test_the_lock_file_pins_the_version_it_was_made_for():
    assert f"{slurm_guard.PLUGIN}=={slurm_guard.CHECKED_VERSION}\n" in (ROOT / "requirements.txt").read_text()


def test_the_plugin_still_has_what_the_guard_holds_on_to():
    import inspect

    import snakemake_executor_plugin_slurm as plugin

    body = inspect.getsource(plugin)
    for name in ("query_job_status(", "get_min_job_age()", "self._status_query_calls += 1"):
        assert name in body
    for name in ("__init__", "check_active_jobs", "run_jobs", "sleep"):
        assert callable(getattr(plugin.Executor, name))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"gpu": 1, "gpu_model": "a100-sxm4-80gb"}, " --gpus=a100-sxm4-80gb:1"),
        ({"gpu": 0, "gres": "gpu:a100-sxm4-80gb:2"}, " --gres=gpu:a100-sxm4-80gb:2"),
        ({"gpu": 2, "gpu_model": "h200"}, " --gpus=h200:2"),
        ({"gpu": 1}, " --gpus=1"),
        ({}, ""),
    ],
)
def test_types_of_gpus_with_a_hyphen_are_asked_for_as_others_are(asked, said):
    from snakemake_executor_plugin_slurm.utils import set_gres_string

    assert slurm_guard.gpu_request(set_gres_string, SimpleNamespace(resources=asked)) == said


def test_what_is_no_type_of_gpu_is_left_to_the_plugin_to_refuse():
    from snakemake_executor_plugin_slurm.utils import set_gres_string
    from snakemake_interface_common.exceptions import WorkflowError

    job = SimpleNamespace(resources={"gpu": 1, "gpu_model": "a-b; rm"})
    with pytest.raises(WorkflowError):
        slurm_guard.gpu_request(set_gres_string, job)
