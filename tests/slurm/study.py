"""Starts of Snakemake in one working directory, on a test cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from cluster import ROOT, Cluster


class Study:
    """Starts of Snakemake in one working directory, with the shipped profile."""

    def __init__(self, cluster: Cluster, folder: Path, snakefile: Path) -> None:
        self.cluster, self.folder, self.snakefile = cluster, folder, snakefile
        self.env = cluster.env | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "0"}
        self.started: list[subprocess.Popen] = []
        self.peak_mib = 0.0

    def command(self, *arguments: str) -> list[str]:
        # --profile's value is what a clone's `--profile slurm` resolves to. A test's missing outputs are missed soon.
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
        """Its exit status. `peak_mib` is the most memory that it had, in MiB."""
        end = time.monotonic() + seconds
        while process.poll() is None:
            self.peak_mib = max(self.peak_mib, peak_mib(process.pid))
            if time.monotonic() > end:
                jobs = self.cluster.run("squeue", "--states=all", "--format=%i %T %k %r %S %e", check=False)
                raise AssertionError(f"still waiting after {seconds} s:\n{self.log()[-3000:]}\n{jobs}")
            time.sleep(0.1)
        return process.returncode

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def stop(self) -> None:
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def peak_mib(pid: int) -> float:
    """The largest resident memory that a process has had, in MiB; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
