"""What SLURM runs cost: `python tests/slurm/measure.py overhead|study|interruptions [--json benchmarks/slurm.json]`.

Each starts a test cluster, prints what it measured, and puts it into the JSON file under its own name; the exit status
is 1 when a limit is missed. Measure on an idle machine: every job starts Python three times.

overhead: seconds from submission to Snakemake's knowing of the end, less the job's own seconds.
study: the whole paper study (every table and figure) with sleeping jobs, 5 % of whose attempts fail; memory and every
output are checked, and that there were failures to recover from.
interruptions: a study of real, tiny trainings, whose jobs are interrupted so many times in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cluster import ROOT, Cluster, install
from study import Study

from sdft.common.files import write_json

HERE = ROOT / "tests/slurm"

# Seconds a job, measured on an idle machine with 2 cores: the same plugin, looking once a second, without this profile.
FLOOR_SECONDS = 8.5
FACTOR = 1.5
MEMORY_MIB = 1024
LIMIT_SECONDS = 4 * 3600


def overheads(study: Study) -> list[float]:
    """Overhead in seconds of every job of a `paper` study that ran once."""
    submitted = study.cluster.run("squeue", "--states=all", "--noheader", "--format=%i %V")
    begun = dict(line.split() for line in submitted.splitlines())
    ends = re.findall(r"\[\w+ (\w+ +\d+ [\d:]+ \d+)\]\nFinished jobid: \d+ \(Rule: train\)", study.log())
    found = []
    # Jobs of equal length end in the order in which Snakemake sees them.
    marks = sorted(study.folder.glob("results/*/job-*.starts"), key=lambda path: _times(path, "ended")[-1])
    for mark, end in zip(marks, ends, strict=True):
        jobs = mark.read_text().split()
        if len(jobs) == 1:
            own = _times(mark, "ended")[0] - _times(mark, "begun")[0]
            seen = datetime.strptime(end, "%b %d %H:%M:%S %Y").timestamp()
            found.append(seen - datetime.fromisoformat(begun[jobs[0]]).timestamp() - own)
    return found


def _times(mark: Path, what: str) -> list[float]:
    return [float(line) for line in mark.with_suffix(f".{what}").read_text().split()]


def overhead(study: Study, options: argparse.Namespace) -> dict[str, Any]:
    jobs = options.count or 11
    begun = time.monotonic()
    status = study.run(
        "--jobs", "4", "--config", "scale=mini", f"jobs={jobs}", "failures=0", "longest=3", seconds=LIMIT_SECONDS
    )
    if status:
        raise SystemExit(study.log()[-3000:])
    seconds = overheads(study)
    mean = statistics.mean(seconds)
    return {
        "jobs": len(seconds),
        "seconds_a_job": {"mean": round(mean, 2), "median": statistics.median(seconds), "largest": max(seconds)},
        "floor_seconds": FLOOR_SECONDS,
        "wall_seconds": round(time.monotonic() - begun, 1),
        "passed": mean <= FACTOR * FLOOR_SECONDS,
    }


def paper_study(study: Study, options: argparse.Namespace) -> dict[str, Any]:
    begun = time.monotonic()
    wanted = ["--config", "scale=mini", f"jobs={options.count or 100000}"]
    status = study.run("--jobs", str(options.jobs), *wanted, seconds=LIMIT_SECONDS)
    outputs = sorted(study.folder.glob("results/*/job-*.txt"))
    right = all(path.read_text() == f"job {path.stem.removeprefix('job-')}\n" for path in outputs)
    attempts = [len(Path(f"{path}.starts").read_text().split()) for path in outputs]
    failed = sum(attempts) - len(attempts)
    expected = int(re.search(r"^total +(\d+)", study.log(), flags=re.M)[1]) - 1
    return {
        "jobs": len(outputs),
        "expected_jobs": expected,
        "failed_attempts": failed,
        "exit_status": status,
        "controller_peak_mib": round(study.peak_mib, 1),
        "wall_seconds": round(time.monotonic() - begun, 1),
        "passed": status == 0 and right and len(outputs) == expected and failed > 0 and study.peak_mib < MEMORY_MIB,
    }


def interruptions(study: Study, options: argparse.Namespace) -> dict[str, Any]:
    from interruptions import interrupt

    return interrupt(study, options.count or 30)


MEASURES = {
    "overhead": (overhead, "paper"),
    "study": (paper_study, "paper"),
    "interruptions": (interruptions, "trainings"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="measure.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=MEASURES)
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks/slurm.json", help="(default: %(default)s)")
    parser.add_argument("--count", type=int, help="jobs (overhead: 11, study: all) or interruptions (30)")
    parser.add_argument("--jobs", type=int, default=16, help="of the study at a time (default: %(default)s)")
    options = parser.parse_args()
    os.environ.setdefault("SDFT_SLURM_TESTS", "1")
    install()
    # Also when it is told to stop it leaves no daemon behind.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    measure, workflow = MEASURES[options.what]
    # The cluster's path holds a Unix socket, so it must be short.
    folder = Path(tempfile.mkdtemp(prefix="sdft-slurm-", dir="/tmp"))
    cluster, work = Cluster(folder), folder / "work"
    work.mkdir()
    shutil.copy(HERE / workflow / "config.yaml", work)
    cluster.start()
    study = Study(cluster, work, HERE / workflow / "Snakefile")
    try:
        load = os.getloadavg()[0]
        found = measure(study, options) | {"load_at_start": round(load, 1), "cores": os.cpu_count()}
    finally:
        study.stop()
        cluster.stop()
    version = subprocess.run(["slurmctld", "-V"], env=cluster.env, capture_output=True, text=True, check=False).stdout
    found |= {"slurm": version.strip(), "python": platform.python_version(), "date": time.strftime("%Y-%m-%d")}
    known = json.loads(options.json.read_text()) if options.json.is_file() else {}
    write_json(options.json, known | {options.what: found})
    print(json.dumps({options.what: found}, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if found["passed"] else 1)


if __name__ == "__main__":
    main()
