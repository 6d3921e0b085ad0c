"""A cluster for the whole test session, and a working directory whose Snakemake uses it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cluster import ROOT, Cluster, Unavailable, install

TOY = ROOT / "tests/slurm/toy"


@pytest.fixture(scope="session")
def running_cluster() -> Iterator[Cluster]:
    try:
        install()
        # The path holds a Unix socket, so it must be short.
        folder = Path(tempfile.mkdtemp(prefix="sdft-slurm-", dir="/tmp"))
        cluster = Cluster(folder)
        cluster.start()
    except Unavailable as reason:
        pytest.skip(f"no SLURM cluster: {reason}")
    yield cluster
    cluster.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster(running_cluster: Cluster) -> Iterator[Cluster]:
    """The session's cluster, with no job left over from the test."""
    yield running_cluster
    running_cluster.cancel_all()


class Study:
    """Starts of Snakemake in one working directory, with the shipped profile and fast polling."""

    def __init__(self, cluster: Cluster, folder: Path, snakefile: Path) -> None:
        self.cluster, self.folder, self.snakefile = cluster, folder, snakefile
        self.env = cluster.env | {"SDFT_SLURM_POLL": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "0"}
        self.started: list[subprocess.Popen] = []

    def command(self, *arguments: str) -> list[str]:
        # --profile's value is what a clone's `--profile slurm` resolves to.
        return ["-s", str(self.snakefile), "--profile", str(ROOT / "slurm"), "--latency-wait", "5", *arguments]

    def start(self, *arguments: str, program: tuple[str, ...] = ("-m", "snakemake"), **env: str) -> subprocess.Popen:
        """Start Snakemake; its output goes to the file `log` of the working directory."""
        with open(self.folder / "log", "a") as log:
            process = subprocess.Popen(
                [sys.executable, *program, *self.command(*arguments)],
                cwd=self.folder,
                env=self.env | env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def run(self, *arguments: str, seconds: float = 180, **options: object) -> int:
        """Start Snakemake and wait for its exit status."""
        return self.wait(self.start(*arguments, **options), seconds)

    def wait(self, process: subprocess.Popen, seconds: float = 180) -> int:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            jobs = self.cluster.run("squeue", "--states=all", "--format=%i %T %k %r %S %e", check=False)
            raise AssertionError(f"still waiting after {seconds} s:\n{self.log()[-3000:]}\n{jobs}") from None

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def stop(self) -> None:
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def toy(cluster: Cluster, tmp_path: Path) -> Iterator[Study]:
    """The toy workflow in an empty directory."""
    shutil.copy(TOY / "config.yaml", tmp_path)
    study = Study(cluster, tmp_path, TOY / "Snakefile")
    yield study
    study.stop()
