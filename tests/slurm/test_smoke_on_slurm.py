"""The smoke target through a real SLURM with the literal command, and the same tables as without SLURM."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
import yaml
from cluster import ROOT

pytestmark = pytest.mark.slow

# What a run's result is, without the manifests that say when and where it was made.
SAME = ("tables/table5/table.csv", "tables/table5/table.md", "tables/table5/table.tex")


@pytest.fixture
def clone(tmp_path):
    """The repository's own files in an empty folder."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if not listed.stdout:
        pytest.skip("the tests run outside a git checkout, so the repository's files are not known")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    shrink(tmp_path / "config/smoke.yaml")
    return tmp_path


def shrink(path):
    """One candidate, of SDFT, of few rows, so that each rule has a job, of seconds."""
    smoke = yaml.safe_load(path.read_text())
    smoke["models"]["documents"] = 256
    smoke["data"]["benchmark_items"] = 6
    for sizes in smoke["data"]["sizes"].values():
        sizes |= {"train": 16, "validation": 8, "test": 8}
    smoke["arms"] = {"sdft": smoke["arms"]["sdft"]}
    for arm in smoke["arms"].values():
        if isinstance(arm["grid"], dict):
            arm["grid"] = {key: v[:1] if isinstance(v, list) else v for key, v in arm["grid"].items()}
    path.write_text(yaml.safe_dump(smoke, sort_keys=False))


def test_every_job_completes_and_the_tables_are_those_of_a_local_run(cluster, clone):
    before = set(cluster.jobs())
    env = cluster.env | {"OMP_NUM_THREADS": "1"}

    def smoke(*how):
        command = [sys.executable, "-m", "snakemake", *how, "smoke"]
        done = subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
        return {name: (clone / "results/smoke" / name).read_bytes() for name in SAME}

    # Four at a time: every job starts Python three times, and there may be two cores.
    through_slurm = smoke("--profile", "slurm", "--jobs", "4", "--config", "scale=smoke", "--")
    jobs = {state for job, (state, _, _) in cluster.jobs().items() if job not in before}
    assert jobs == {"COMPLETED"}
    shutil.rmtree(clone / "results/smoke")
    assert smoke("--cores", "2") == through_slurm
