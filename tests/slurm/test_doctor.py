"""The doctor on clusters that differ, each played by canned answers to its commands. No cluster is needed."""

from __future__ import annotations

import errno
import fcntl
import json
import re
import subprocess

import pytest
import yaml
from cluster import ROOT

from workflow_scripts import doctor as program
from workflow_scripts.checks import CHECKS, Answer, Doctor, slurm

CONFIG = "MinJobAge = {age} sec\nKillWait = 30 sec\nPreemptMode = REQUEUE\n"


class Played(Doctor):
    """A doctor whose commands are answered by the first rule whose words are all in the command."""

    def __init__(self, *rules, age=300):
        super().__init__(probe_seconds=0, profile=slurm.slurm_profile(ROOT / "slurm/profile.yaml"))
        self.rules = [*rules, (("scontrol", "config"), Answer(0, CONFIG.format(age=age), ""))]

    def run(self, *command, seconds=30):
        for words, answer in self.rules:
            if all(any(word in part for part in command) for word in words):
                return answer
        return Answer(0, "", "")


REFUSED = Answer(1, "", "allocation failure: Invalid generic resource")


def findings(doctor, title):
    return [finding for _, name, finding in program.examine(doctor, ["slurm"]) if name == title]


def test_squeue_is_right_where_finished_jobs_are_remembered():
    doctor = Played((("sacct",), Answer(1, "", "accounting storage is disabled")), age=300)
    (finding,) = findings(doctor, "how a job's end is seen")
    assert finding.status == "ok"
    assert doctor.proposals["slurm-status-command"] == "squeue"
    assert program.proposed_profile(doctor) == ""


def test_sacct_is_proposed_where_they_are_forgotten_and_accounting_works():
    doctor = Played(age=10)
    (finding,) = findings(doctor, "how a job's end is seen")
    assert finding.status == "ok"
    assert yaml.safe_load(program.proposed_profile(doctor))["slurm-status-command"] == "sacct"


def test_a_site_with_neither_is_told_so():
    doctor = Played((("sacct",), Answer(1, "", "accounting storage is disabled")), age=10)
    (finding,) = findings(doctor, "how a job's end is seen")
    assert finding.status == "warn"
    assert "MinJobAge >= 300" in finding.remedy


def test_a_site_that_wants_gres_gets_the_lines_for_it(monkeypatch):
    monkeypatch.setenv("SDFT_SLURM_GPU", "h200")
    doctor = Played((("sbatch", "--gpus="), REFUSED))
    (finding,) = findings(doctor, "GPU request")
    assert finding.status == "warn"
    lines = yaml.safe_load(program.proposed_profile(doctor))["set-resources"]
    assert set(lines) == set(doctor.profile["set-resources"])
    assert {"train", "evaluate_knowledge", "pass_at_k"} <= set(lines)
    for rule in lines:
        # A site's profile replaces the whole of set-resources, so what the shipped one says must be there too.
        assert lines[rule]["gres"] == "'gpu:h200:1'"
        assert lines[rule]["gpu"] == 0
        assert lines[rule]["cpus_per_task"] == doctor.profile["set-resources"][rule]["cpus_per_task"]


def test_a_node_with_less_memory_gets_smaller_requests(monkeypatch):
    monkeypatch.delenv("SDFT_SLURM_GPU", raising=False)
    doctor = Played((("--mem=120000",), REFUSED), (("--mem=96000",), REFUSED))
    (finding,) = findings(doctor, "GPU request")
    assert finding.status == "warn"
    lines = yaml.safe_load(program.proposed_profile(doctor))["set-resources"]
    assert lines["train"]["mem_mb"] == "64000"


@pytest.mark.slow
@pytest.mark.parametrize(("reserved", "bound"), [(False, 512000), (True, 496640)])
def test_memory_grows_no_further_than_the_largest_node(monkeypatch, reserved, bound):
    monkeypatch.setenv("SDFT_SLURM_PARTITION", "gpu")
    nodes = "cpu*|900000|(null)\ngpu|128000|gpu:h200:4\ngpu|512000+|gpu:h200:8\ngpu|900000|(null)"
    rules = [(("--mem=512000",), Answer(1, "", "Memory specification can not be satisfied"))] if reserved else []
    (finding,) = findings(Played((("sinfo", "%m"), Answer(0, nodes, "")), *rules), "memory of later attempts")
    assert finding.status == "warn"
    assert finding.remedy == f"export SDFT_SLURM_MAX_MEMORY={bound}"
    # A bound that is set already hides nothing.
    monkeypatch.setenv("SDFT_SLURM_MAX_MEMORY", "1000")
    (again,) = findings(Played((("sinfo", "%m"), Answer(0, nodes, "")), *rules), "memory of later attempts")
    assert again == finding


@pytest.mark.slow
def test_a_partition_of_short_jobs_gets_a_bound_for_their_time(monkeypatch):
    monkeypatch.delenv("SDFT_SLURM_PARTITION", raising=False)
    doctor = Played((("sinfo", "%P"), Answer(0, "gpu*|2:00:00|gpu:h200:8", "")))
    (finding,) = findings(doctor, "partition")[1:]
    assert finding.status == "warn"
    assert "export SDFT_SLURM_MAX_MINUTES=120" in finding.remedy


def test_where_memory_suffices_nothing_is_proposed(monkeypatch):
    monkeypatch.delenv("SDFT_SLURM_PARTITION", raising=False)
    doctor = Played((("sinfo", "%m"), Answer(0, "gpu*|2000000|gpu:h200:8", "")))
    (finding,) = findings(doctor, "memory of later attempts")
    assert finding.status == "ok"
    assert "set-resources" not in doctor.proposals


def test_an_account_that_is_needed_is_named(monkeypatch):
    monkeypatch.delenv("SDFT_SLURM_ACCOUNT", raising=False)
    refused = Answer(1, "", "Invalid account or account/partition combination specified")
    doctor = Played((("sacctmgr",), Answer(0, "astro\nbio", "")), (("sbatch", "--test-only"), refused))
    (finding,) = findings(doctor, "account")
    assert finding.status == "fail"
    assert "export SDFT_SLURM_ACCOUNT=astro" in finding.remedy


@pytest.mark.slow
def test_a_partition_with_a_short_limit_shortens_the_jobs(monkeypatch):
    monkeypatch.delenv("SDFT_SLURM_PARTITION", raising=False)
    doctor = Played((("sinfo", "%P"), Answer(0, "cpu*|7-00:00:00|(null)\ngpu|12:00:00|gpu:h200:4", "")))
    found = findings(doctor, "partition")
    assert found[0].status == "warn"
    assert "gpu" in found[0].remedy
    monkeypatch.setenv("SDFT_SLURM_PARTITION", "gpu")
    found = findings(doctor, "partition")
    assert found[0].status == "ok"
    assert program.proposed_profile(doctor) == ""


@pytest.mark.parametrize(
    ("given", "answer", "status", "said"),
    [
        ("", None, "ok", "the same partition"),
        ("cpu", None, "ok", "partition cpu"),
        ("cpus", None, "fail", "one of: cpu, gpu"),
        ("cpu", Answer(1, "", "Invalid account or account/partition combination specified"), "fail", "takes your jobs"),
    ],
)
def test_the_partition_of_jobs_without_a_gpu_is_looked_at(monkeypatch, given, answer, status, said):
    monkeypatch.setenv("SDFT_SLURM_PARTITION", "gpu")
    monkeypatch.setenv("SDFT_SLURM_CPU_PARTITION", given)
    rules = [(("--partition=cpu",), answer)] if answer else []
    doctor = Played((("sinfo", "--format=%P"), Answer(0, "cpu*\ngpu", "")), *rules)
    (finding,) = findings(doctor, "partition without GPU")
    assert finding.status == status
    assert said in finding.message + finding.remedy


@pytest.mark.parametrize(
    ("text", "minutes"), [("7-00:00:00", 10080), ("12:00:00", 720), ("30:00", 30), ("infinite", None)]
)
def test_time_limits_as_sinfo_writes_them(text, minutes):
    assert slurm.limit_minutes(text) == minutes


def test_a_check_that_breaks_is_a_finding_and_not_the_end():
    class Broken(Played):
        def run(self, *command, seconds=30):
            raise RuntimeError("no pipe")

    found = list(program.examine(Broken(), ["slurm"]))
    assert {title for _, title, _ in found} == {title for group, title, _ in CHECKS if group == "slurm"}
    assert any("no pipe" in finding.message for _, _, finding in found)


class Here(Played):
    """A doctor whose job runs on this machine, at once."""

    def run(self, *command, seconds=30):
        if command[:2] == ("sbatch", "--parsable"):
            self.submitted = command
            subprocess.run(["sh", "-c", command[-1]], check=False)
            return Answer(0, "1", "")
        return super().run(*command, seconds=seconds)


def probed(monkeypatch, folder):
    monkeypatch.chdir(folder)
    doctor = Here()
    doctor.probe_seconds = 60
    title = next(title for group, title, _ in CHECKS if group == "slurm" and title.startswith("one job:"))
    return [finding.message for finding in findings(doctor, title)]


@pytest.mark.slow
def test_the_probe_sees_whether_locks_are_shared(monkeypatch, tmp_path):
    found = probed(monkeypatch, tmp_path)
    assert any("sees this folder" in message for message in found)
    assert any("torch can use none" in message for message in found)
    assert not any("locks" in message for message in found)
    # As where each machine has locks of its own: nobody else sees the one that is held here.
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    assert any(message.startswith("locks are not shared between nodes") for message in probed(monkeypatch, tmp_path))


def test_the_probe_tells_of_a_file_system_without_locks(monkeypatch, tmp_path):
    def flock(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert any("has no file locks" in message for message in probed(monkeypatch, tmp_path))


NODE = {"gpus": [["NVIDIA H200", 139.8]], "reason": None, "driver": "580.1", "cuda": "13.0", "sandbox": True}


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({}, {"ok"}, "torch computes on NVIDIA H200"),
        ({"network": False}, {"ok"}, "jobs need none"),
        ({"gpus": [], "reason": "driver too old"}, {"fail"}, r"can use none \(driver too old\); driver 580.1"),
        (
            {"gpus": [["NVIDIA H100", 79.6]]},
            {"ok", "fail"},
            "sdft of Qwen2.5-7B-Instruct does not fit 79.6 GiB",
        ),
        ({"sandbox": False}, {"ok", "fail"}, "no sandbox"),
    ],
)
def test_the_probe_judges_what_a_job_found_on_its_node(changed, status, words):
    found = list(slurm.node_findings(json.dumps(NODE | {"network": True} | changed), ""))
    assert {finding.status for finding in found} == status
    assert any(re.search(words, finding.message) for finding in found)


def test_a_node_that_says_nothing_is_a_failure():
    (finding,) = slurm.node_findings("", "ModuleNotFoundError: No module named 'torch'")
    assert finding.status == "fail"
    assert "No module named 'torch'" in finding.message


def test_the_probe_asks_for_what_a_training_asks_for(monkeypatch):
    monkeypatch.setenv("SDFT_SLURM_GPU", "a100-sxm4-80gb")
    monkeypatch.delenv("SDFT_SLURM_MAX_MEMORY", raising=False)
    asked = slurm.gpu_job(Played())
    assert asked[:2] == ["--gpus=a100-sxm4-80gb:1", "--cpus-per-task=8"]
    assert int(asked[2].removeprefix("--mem=")) > 76_000
    sited = Played()
    sited.propose("train", {"mem_mb": "64000", "gres": "'gpu:h200:1'"}, under="set-resources")
    assert slurm.gpu_job(sited) == ["--gres=gpu:h200:1", "--cpus-per-task=8", "--mem=64000"]
