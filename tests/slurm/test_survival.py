"""Snakemake with the shipped profile on a real slurmctld and slurmd, which things happen to.

Every test ends with the right outputs or the right refusal; none may wait for ever, so each wait has a limit.
"""

from __future__ import annotations

import time

import pytest
from cluster import ROOT, wait_until

pytestmark = pytest.mark.slow

SMALL = ("--config", "scale=mini")
TABLE = "results/mini/table.txt"


def script(study, name, text):
    path = study.folder / f"{name}.sh"
    path.write_text(text)
    return str(path)


def starts(study, number):
    """SLURM job ids with which a candidate was started, in order."""
    return (study.folder / f"results/mini/candidate-{number}.txt.starts").read_text().split()


def rows(study):
    return (study.folder / TABLE).read_text().splitlines()


def test_a_failed_job_is_tried_again_with_more_and_gets_its_gpu(toy):
    once = script(toy, "once", 'echo "$CUDA_VISIBLE_DEVICES" > $1.gpu; test $(wc -l < $1.starts) -gt 1')
    assert toy.run(*SMALL, "candidates=1", "gpus=1", f"script0={once}") == 0, toy.log()
    assert rows(toy) == ["candidate 0"]
    first, second = starts(toy, 0)
    requests = toy.cluster.run("squeue", "--states=all", "--noheader", "--format=%i %m %l %c")
    asked = {fields[0]: fields[1:] for fields in map(str.split, requests.splitlines())}
    assert asked[first] == ["4000M", "1:00:00", "1"]
    assert asked[second] == ["8000M", "2:00:00", "1"]
    assert (toy.folder / "results/mini/candidate-0.txt.gpu").read_text().strip().isdigit()


def test_lost_jobs_and_a_lost_controller_cost_nothing_but_time(toy):
    """In one run: a job is cancelled, one requeued, one preempted for good, and slurmctld is killed for 12 s."""
    cluster = toy.cluster
    # A second start is quick: what is tested is that there is one.
    again = script(toy, "again", "test $(wc -l < $1.starts) -gt 1 || sleep 300")
    last = script(toy, "last", f"until test -e {toy.folder}/go; do sleep 0.2; done; sleep 15")
    options = [f"script{number}={again}" for number in (1, 2, 3)] + [f"script0={last}", "partition3=fragile"]
    process = toy.start(*SMALL, "candidates=4", *options)
    running = [cluster.wait_for_job(f"candidate_wildcards_mini_{number}") for number in range(4)]
    for number in range(4):
        mark = toy.folder / f"results/mini/candidate-{number}.txt.starts"
        wait_until(mark.exists, 60, f"candidate {number} has started its script")

    cluster.run("scancel", running[1])
    cluster.run("scontrol", "requeue", running[2])
    # It preempts everything: job 3 for good, since its partition cancels, the others to start again.
    cluster.run(
        *[
            "sbatch",
            "--partition=urgent",
            "--exclusive",
            "--nodes=2",
            "--time=1",
            "--output=/dev/null",
            "--wrap",
            "true",
        ]
    )
    cluster.wait_for_job("candidate_wildcards_mini_3", "PREEMPTED")
    for number in (1, 2, 3):
        result = toy.folder / f"results/mini/candidate-{number}.txt"
        wait_until(result.exists, 120, f"candidate {number} has been started again")

    cluster.wait_for_job("candidate_wildcards_mini_0")
    (toy.folder / "go").touch()
    # slurmctld saves its state every few seconds; what it learnt just before it is killed is lost, and so is a job.
    time.sleep(6)
    cluster.kill_daemon("slurmctld")
    time.sleep(12)
    cluster.start_daemon("slurmctld")

    assert toy.wait(process, 300) == 0, toy.log()
    assert rows(toy) == [f"candidate {number}" for number in range(4)]
    # One start each for being lost, one for the preemption of the others; no more.
    assert [len(starts(toy, number)) for number in (1, 3)] == [2, 2]


def test_a_killed_snakemake_is_followed_by_one_that_runs_nothing_twice(toy):
    wait_for_me = script(toy, "wait", "sleep 8; echo end >> $1.ends")
    options = (*SMALL, "candidates=2", f"script0={wait_for_me}", f"script1={wait_for_me}")
    first = toy.start(*options)
    toy.cluster.wait_for_job("candidate_wildcards_mini_1")
    first.kill()
    first.wait()

    assert toy.run(*options) == 1
    assert "of an earlier Snakemake still run for this directory" in toy.log()
    second = toy.start(*options, program=(str(ROOT / "workflow_scripts/start.py"),))
    assert toy.wait(second) == 0, toy.log()
    assert rows(toy) == ["candidate 0", "candidate 1"]
    for number in (0, 1):
        ends = (toy.folder / f"results/mini/candidate-{number}.txt.ends").read_text().split()
        assert ends == ["end"]


def test_what_sbatch_would_refuse_is_refused_before_anything_is_submitted(toy):
    before = set(toy.cluster.jobs())
    assert toy.run(*SMALL, SDFT_SLURM_PARTITION="nosuch") == 1
    assert "sbatch would refuse the jobs of rule prepare" in toy.log()
    assert "SDFT_SLURM_PARTITION" in toy.log()
    assert set(toy.cluster.jobs()) == before
