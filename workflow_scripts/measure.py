"""Run a target and record what it cost: wall-clock, the sum of its jobs' seconds, their ratio, and peak memory.

    python workflow_scripts/measure.py table5 --cores 2 --out benchmarks/table5-mini.json

A job's seconds are those between its start and its end as Snakemake records them, so they hold the start of the process
and the import of the libraries too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from sdft.common.errors import run_main
from sdft.common.files import write_json
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest


def jobs_since(start: float) -> dict[str, list[float]]:
    """Seconds of every job that started after `start`, by rule.

    A job with several outputs has a record for each, with times of its own; its log tells which belong together.
    """
    found = {}
    for path in Path(".snakemake/metadata").rglob("*"):
        if path.is_file():
            record = json.loads(path.read_text(encoding="utf-8"))
            if (record.get("starttime") or 0) >= start and record.get("endtime"):
                found[record["rule"], str(record.get("log"))] = record
    by_rule = defaultdict(list)
    for (rule, _), record in sorted(found.items()):
        by_rule[rule].append(record["endtime"] - record["starttime"])
    return by_rule


def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", help="target of the workflow")
    parser.add_argument("--cores", type=int, default=2, help="cores for Snakemake (default 2)")
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--keep-going", action="store_true", help="go on with what does not need a failed job")
    options = parser.parse_args()
    # A place where nothing can be written is known before the study is made.
    publish_alone(options.out)
    clock, start = Clock(), time.time()
    command = ["snakemake", "--cores", str(options.cores), *["--keep-going"] * options.keep_going, "--", options.target]
    load = os.getloadavg()[0]
    done = subprocess.run([sys.executable, "-m", *command], check=False)
    if done.returncode:
        return done.returncode
    wall = time.time() - start
    by_rule = jobs_since(start)
    total = sum(map(sum, by_rule.values()))
    write_json(
        options.out,
        {
            "command": " ".join(command),
            "date": datetime.now(UTC).date().isoformat(),
            "processor": processor(),
            "cores": options.cores,
            "load_before": round(load, 2),
            "jobs": sum(map(len, by_rule.values())),
            "wall_seconds": round(wall, 1),
            "job_seconds": round(total, 1),
            "job_seconds_over_wall": round(total / wall, 3),
            "peak_memory_mib_of_a_process": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
            "rules": {
                rule: {"jobs": len(seconds), "seconds": round(sum(seconds), 1), "longest": round(max(seconds), 1)}
                for rule, seconds in sorted(by_rule.items())
            },
            "manifest": manifest("measure", clock=clock),
        },
    )
    return 0


if __name__ == "__main__":
    run_main(main)
