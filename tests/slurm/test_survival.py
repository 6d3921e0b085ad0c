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
    assert asked[first] == ["6000M", "1:00:00", "1"]
    assert asked[second] == ["12000M", "2:00:00", "1"]
    assert (toy.folder / "results/mini/candidate-0.txt.gpu").read_text().strip().isdigit()


def test_lost_controller_node_and_jobs_cost_nothing_but_time(toy):
    """In one run: slurmctld away for 12 s, a job cancelled, one requeued, one preempted for good, a node lost."""
    cluster = toy.cluster
    work = script(toy, "work", "sleep 15")
    # A second start is quick: what is tested is that there is one.
    again = script(toy, "again", "test $(wc -l < $1.starts) -gt 1 || sleep 300")
    options = [f"script{number}={again}" for number in (1, 2, 3)] + [f"script0={work}", "partition3=fragile"]
    process = toy.start(*SMALL, "candidates=4", *options)

    running = [cluster.wait_for_job(f"candidate_wildcards_mini_{number}") for number in range(4)]
    for number in (1, 2, 3):
        mark = toy.folder / f"results/mini/candidate-{number}.txt.starts"
        wait_until(mark.exists, 60, f"candidate {number} has started its script")
    cluster.run("scancel", running[1])
    cluster.run("scontrol", "requeue", running[2])
    cluster.run("sbatch", "--partition=urgent", "--exclusive", "--nodes=2", "--time=1", "--wrap", "true")
    cluster.wait_for_job("candidate_wildcards_mini_3", "PREEMPTED")
    cluster.kill_daemon("slurmctld")
    time.sleep(12)
    cluster.start_daemon("slurmctld")

    assert toy.wait(process, 240) == 0, toy.log()
    assert rows(toy) == [f"candidate {number}" for number in range(4)]


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
