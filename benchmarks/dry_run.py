"""`python -m benchmarks.dry_run [--out F.json]`: what a dry run of Table 5 takes, and what of it is Snakemake's own.

The two commands run in a fresh clone of this commit. `floor` is a Snakefile without any code of this project for the
same jobs: as many rules, and for each job as many inputs, outputs, parameters and resources, all looked up in a file.
It has the two changes to Snakemake that this project makes (`build_quickly`), since they lower it. `start` is a
Snakefile with one rule. All run in turn, and a number is a median of seconds of processor time, user and system, of the
whole process. `first` is the clone's very first start, which compiles its modules too.
"""

from __future__ import annotations

import argparse
import inspect
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.loss import machine
from sdft.common.errors import SdftError, run_main
from sdft.common.files import digest, write_json
from sdft.common.provenance import Clock, manifest
from workflow_scripts import internals

ROOT = Path(__file__).resolve().parents[1]
# Seconds of processor time that were asked for.
ASKED = {"--cores 2": 3.0, "--profile slurm": 5.0}
# Resources that a rule states itself; the others are Snakemake's or a profile's.
STATED = ("gpu", "processes", "runtime", "mem_mb", "slurm_extra")
FLOOR = """import gc, inspect, json
from typing import Any

JOBS = json.load(open("jobs.json"))
BETWEEN_COLLECTIONS = {between}

{quickly}
build_quickly()


def told(rule, kind, name=None):
    def value(wildcards):
        found = JOBS[rule][wildcards.job][kind]
        return found if name is None else found[name]

    value.__signature__ = inspect.signature(value)
    return value

"""
START = "rule one:\n    output: 'one.txt'\n    shell: 'touch {output}'\n"


def seconds(folder: Path, *arguments: str) -> tuple[float, str]:
    """Processor time of Snakemake with these arguments, and what it prints. Raises SdftError where it fails."""
    # Whatever the machine's habit, modules are compiled once.
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile("w+") as printed, tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-m", "snakemake", *arguments]
        process = subprocess.Popen(command, cwd=folder, env=own, stdout=printed, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (printed, errors):
            file.seek(0)
        found = printed.read()
        if process.returncode:
            said = " ".join((found + errors.read()).split()[-60:])
            raise SdftError(f"snakemake {' '.join(arguments)} fails in {folder}: {said}")
    return used.ru_utime + used.ru_stime, found


def read_jobs(listing: str) -> list[dict[str, Any]]:
    """The jobs of a dry run with --printshellcmds: rule, input, output, resources, and their command's length."""
    jobs = []
    for part in re.split(r"^(?:local)?rule (?=\w+:$)", listing, flags=re.M)[1:]:
        fields = dict(re.findall(r"^    (\w+): (.*)$", part, flags=re.M))
        said = dict(pair.split("=", 1) for pair in fields.get("resources", "").split(", ") if "=" in pair)
        command = re.search(r"^Shell command: (.*?)(?=^\[|^Job stats|\Z)", part, flags=re.M | re.S)
        jobs.append(
            {
                "rule": part.partition(":")[0],
                "input": fields["input"].split(", ") if "input" in fields else [],
                "output": fields["output"].split(", ") if "output" in fields else [],
                # What only the job's start can know has no number here.
                "resources": {name: _number(said[name]) for name in STATED if name in said and said[name] != "<TBD>"},
                "told": len(command[1]) if command else 0,
            }
        )
    return jobs


def _number(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def write_floor(folder: Path, jobs: list[dict[str, Any]], rules: int) -> str:
    """A Snakefile for these jobs without any code of the project, with so many rules; returns the target's name."""
    rows: dict[str, dict[str, Any]] = defaultdict(dict)
    names: dict[str, str] = {}
    for number, job in enumerate(jobs):
        job["name"] = f"job-{digest([job['rule'], number], 28)}"
        for place, path in enumerate(job["output"]):
            names[path] = f"results/floor/{job['name']}/{job['rule']}/{place}.json"
    for job in jobs:
        inputs = [names.get(path, f"given/{path}") for path in job["input"]]
        for path in inputs:
            if path.startswith("given/"):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).touch()
        row = {"input": inputs, "resources": job["resources"], "params": "x" * job["told"]}
        rows[job["rule"]][job["name"]] = row
    write_json(folder / "jobs.json", rows)
    quickly = inspect.getsource(internals.build_quickly)
    text = FLOOR.format(between=internals.BETWEEN_COLLECTIONS, quickly=quickly)
    shapes = {job["rule"]: job for job in jobs}
    target = next(job["rule"] for job in jobs if not job["output"])
    for rule, job in shapes.items():
        text += _rule(rule, job, rows[rule])
    text += "".join(_rule(f"unused{number}", jobs[0], {}) for number in range(rules - len(shapes)))
    (folder / "Snakefile").write_text(text, encoding="utf-8")
    return target


def _rule(name: str, job: dict[str, Any], rows: dict[str, Any]) -> str:
    """A rule for the jobs of that name, by whose number it looks everything up."""
    if not job["output"]:
        return f"rule {name}:\n    input: {next(iter(rows.values()))['input']!r}\n\n"
    place = f"results/{{scale}}/{{job}}/{name}"
    lines = [f"rule {name}:", f"    input: told({name!r}, 'input')"]
    lines += [f"    output: {[f'{place}/{number}.json' for number in range(len(job['output']))]!r}"]
    lines += [f"    log: '{place}.log'", "    conda: 'environment.yaml'"]
    lines += [f"    params: spec=told({name!r}, 'params')"]
    stated = ", ".join(f"{own}=told({name!r}, 'resources', {own!r})" for own in job["resources"])
    lines += [f"    resources: {stated}"] if stated else []
    lines += ["    wildcard_constraints: scale='floor', job='job-[0-9a-f]+'"]
    return "\n".join([*lines, "    shell: 'true {params.spec:q} > {log} 2>&1'", "", ""])


def measure(rounds: int, target: str) -> dict[str, Any]:
    """Both dry runs beside their floor and Snakemake's own start."""
    with tempfile.TemporaryDirectory() as place:
        clone, one = Path(place) / "clone", Path(place) / "one"
        command = ["git", "clone", "--quiet", str(ROOT), str(clone)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SdftError(f"{ROOT} is no git checkout, so it has no fresh clone ({done.stderr.strip()}).")
        one.mkdir()
        (one / "Snakefile").write_text(START, encoding="utf-8")
        runs: dict[str, tuple[Path, tuple[str, ...]]] = {"start": (one, ("--cores", "2", "-n", "one"))}
        counts = {}
        first, _ = seconds(clone, "--cores", "2", "-n", target)
        # Beside a name stands what its rule makes.
        rules = len(re.findall(r"^\w+", seconds(clone, "--list-rules")[1], flags=re.M))
        for case in ASKED:
            arguments = (*case.split(), "-n", target)
            jobs = read_jobs(seconds(clone, *arguments, "--printshellcmds")[1])
            folder = Path(place) / case.replace(" ", "")
            folder.mkdir()
            if "--profile" in case:
                shutil.copytree(clone / "slurm", folder / "slurm")
                shutil.copytree(clone / "sdft" / "tasks", folder / "sdft" / "tasks")
            floor = write_floor(folder, jobs, rules)
            counts[case] = {"rules": rules, "jobs": len(jobs), "inputs": sum(len(job["input"]) for job in jobs)}
            runs |= {case: (clone, arguments), f"{case} floor": (folder, (*case.split(), "-n", floor))}
        taken = defaultdict(list)
        for number in range(rounds):
            for name, (folder, arguments) in runs.items():
                taken[name].append(seconds(folder, *arguments)[0])
            said = ", ".join(f"{name} {found[-1]:.2f}" for name, found in taken.items())
            print(f"round {number + 1} of {rounds}: {said}", file=sys.stderr)
    rows = {}
    for case, asked in ASKED.items():
        pairs = zip(taken[case], taken[f"{case} floor"], strict=True)
        rows[f"{case} -n {target}"] = {
            **counts[case],
            "asked": asked,
            "seconds": _median(taken[case]),
            "range": [round(min(taken[case]), 3), round(max(taken[case]), 3)],
            "floor": _median(taken[f"{case} floor"]),
            "above_floor": _median([own - least for own, least in pairs]),
        }
    alone = {"start": _median(taken["start"]), "first": round(first, 3)}
    return {**alone, "dry_runs": rows}


def _median(found: list[float]) -> float:
    return round(statistics.median(found), 3)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dry_run", description=__doc__.split("\n\n")[1])
    parser.add_argument("--out", metavar="F.json", help="record to write")
    parser.add_argument("--rounds", type=int, default=7, help="starts of each (default: %(default)s)")
    parser.add_argument("--target", default="table5", help="default: %(default)s")
    options = parser.parse_args(arguments)
    clock = Clock()
    settings = {"rounds": options.rounds, "target": options.target}
    content = {"settings": settings, "machine": machine("cpu"), **measure(options.rounds, options.target)}
    for name, row in content["dry_runs"].items():
        print(f"snakemake {name}: {row['seconds']:.2f} s, floor {row['floor']:.2f}, asked {row['asked']:g}")
    if options.out:
        write_json(options.out, content | {"manifest": manifest("step", clock=clock, config=settings)})


if __name__ == "__main__":
    run_main(main)
