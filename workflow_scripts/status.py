"""What runs, where, since when and for how long still: `python workflow_scripts/status.py`.

Reads what lies on disk (finished runs, metrics of running ones, Snakemake's last log), and asks squeue where it is.
It changes nothing, so it may be called at any time, from any machine that sees this directory. Runs that nobody has
started are counted, not listed.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from sdft.common.errors import SdftError, did_you_mean, run_main
from sdft.common.files import write_text
from sdft.config import load_config
from sdft.study.exhibits import names
from sdft.study.forecast import Job as Work
from sdft.study.forecast import device_hours, devices, forecast, job_start, makespan
from sdft.study.plan import Plan, RunSpec
from workflow_scripts.slurm_guard import PREFIX

# A run whose metrics are that many seconds old is not called running, unless SLURM says that it runs.
FRESH_SECONDS = 600.0
# What `all` makes is everything of the plan that is switched on.
TARGETS = ("all", "gate", "released_checkpoints", *names())
UNFINISHED = ("running", "interrupted", "queued", "to do")
# The group of the runs that are on disk and that the plan has no more.
ELSEWHERE = "other configurations"
LOG_LINES = 8
BARS = "▁▂▃▄▅▆▇█"
STYLE = (
    "body{font:15px system-ui;margin:2em;max-width:90em}td{padding:.2em 1em .2em 0;vertical-align:middle}"
    "tr:first-child{font-weight:bold}pre{background:#f4f4f4;padding:.6em;overflow:auto}"
)


@dataclass(frozen=True)
class Job:
    """A SLURM job of this directory. `what`: rule and wildcards; since: when it started, or is expected to."""

    id: str
    state: str
    what: str
    elapsed: str
    limit: str
    where: str
    since: str = ""


@dataclass(frozen=True)
class Run:
    """A training as it stands. study: the one that it belongs to; output: the file that it has when it is finished.

    losses: one number a step so far.
    """

    id: str
    study: str
    candidate: bool
    output: str
    state: str
    steps: int = 0
    losses: tuple[float, ...] = ()
    seconds_a_step: float | None = None
    job: Job | None = None

    @property
    def shown(self) -> bool:
        """Whether it has begun and is not finished."""
        return self.state in ("running", "interrupted") or (self.state == "queued" and self.steps > 0)


@dataclass(frozen=True)
class Failure:
    """A job that failed in Snakemake's last log and whose outputs are still missing."""

    rule: str
    output: str
    log: str
    lines: tuple[str, ...]


def slurm_jobs(folder: Path) -> list[Job]:
    """The unfinished SLURM jobs that Snakemake submitted from `folder`; none where there is no squeue."""
    fields = "%i|%T|%j|%k|%M|%l|%R|%S|%Z"
    try:
        done = subprocess.run(
            ["squeue", "--me", "--noheader", f"--format={fields}"], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = []
    for line in done.stdout.splitlines():
        job, state, name, comment, elapsed, limit, where, since, workdir = line.split("|", 8)
        if name.startswith(f"{PREFIX}_") and Path(workdir).resolve() == folder.resolve():
            what = comment.removeprefix("rule_").replace("_wildcards_", " ", 1)
            since = "" if since == "N/A" else since.replace("T", " ")
            found.append(Job(job, state, what, elapsed, limit, where.strip("()"), since))
    return found


def read_metrics(folder: Path) -> tuple[list[dict[str, Any]], float]:
    """The steps logged so far, and the seconds since the last of them; a torn last line is left out."""
    paths = [path for path in (folder / "metrics.jsonl", folder / "state/metrics.jsonl") if path.is_file()]
    if not paths:
        return [], float("inf")
    path = max(paths, key=lambda one: one.stat().st_mtime)
    steps = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            steps.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return steps, time.time() - path.stat().st_mtime


def result_path(plan: Plan, run: RunSpec) -> str:
    """The file that a finished run has."""
    return plan.validation_path(run) if run.study == "sweep" else f"{plan.run_folder(run)}/model.json"


def look_at(run: Run, folder: Path, jobs: list[Job]) -> Run:
    """A run whose folder exists: finished, running, waiting in SLURM, interrupted or not started."""
    # Nothing of a finished run is shown, and reading hundreds of them takes long.
    if Path(run.output).is_file():
        return replace(run, state="finished")
    steps, age = read_metrics(folder)
    losses = tuple(step["loss"] for step in steps if isinstance(step.get("loss"), int | float))
    pace = statistics.median(step["seconds"] for step in steps[-20:]) if steps and "seconds" in steps[-1] else None
    job = job_of(run, jobs)
    if job is not None:
        state = "running" if job.state in ("RUNNING", "COMPLETING") else "queued"
    elif steps:
        state = "running" if age < FRESH_SECONDS else "interrupted"
    else:
        state = "to do"
    return replace(run, state=state, steps=len(steps), losses=losses, seconds_a_step=pace, job=job)


def job_of(run: Run, jobs: list[Job]) -> Job | None:
    """The SLURM job of a run."""
    return next((job for job in jobs if job.what.endswith(run.id)), None)


def plan_runs(plan: Plan, jobs: list[Job], work: list[Work], target: str = "all") -> list[Run]:
    """Every candidate and final run that is among the `work` of a target.

    For `all` also those that lie on disk though their study is switched off, or the plan has them no more.
    """
    root, wanted = Path(plan.root), {job.output for job in work}
    there = {str(path) for pattern in ("sweep/*/*/*", "runs/*/*") for path in root.glob(pattern)}
    found = []
    for spec in plan.runs():
        folder = plan.run_folder(spec)
        run = Run(spec.id, plan.study_of(spec.arm), spec.study == "sweep", result_path(plan, spec), "to do")
        begun = folder in there
        if run.output in wanted or (begun and target == "all"):
            found.append(look_at(run, Path(folder), jobs) if begun or job_of(run, jobs) else run)
        there.discard(folder)
    for folder in sorted(there) if target == "all" else ():
        path = Path(folder)
        candidate = path.parts[len(root.parts)] == "sweep"
        output = path / ("validation.json" if candidate else "model.json")
        run = look_at(Run(path.name, ELSEWHERE, candidate, str(output), "to do"), path, jobs)
        found += [run] if run.state != "to do" else []
    return found


def left(plan: Plan, runs: list[Run], work: list[Work]) -> tuple[float, float]:
    """Device-hours and wall-clock seconds that are left of the `work`, by the model of budget.py.

    Finished jobs correct the model; what runs under way have done already is taken off.
    """
    done = {run.output: run.steps * (run.seconds_a_step or 0.0) for run in runs if run.state != "finished"}
    rest = [replace(job, forecast=max(job.forecast - done.get(job.output, 0.0), 0.0)) for job in work]
    return device_hours(rest), makespan(rest, devices(plan), job_start(plan))


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def last_log() -> Path | None:
    """Snakemake's newest log in this directory."""
    logs = sorted(Path(".snakemake/log").glob("*.snakemake.log"), key=lambda path: path.stat().st_mtime)
    return logs[-1] if logs else None


def failures(log: Path | None) -> list[Failure]:
    """The failed jobs of a Snakemake log, those without the jobs that a later attempt has made good."""
    if log is None:
        return []
    found: dict[str, Failure] = {}
    text = log.read_text(encoding="utf-8", errors="replace")
    for block in re.split(r"^Error in rule ", text, flags=re.M)[1:]:
        rule = block.split(":", 1)[0]
        fields = dict(re.findall(r"^    (\w+): (.*)$", block, flags=re.M))
        outputs = [name.strip() for name in fields.get("output", "").split(",") if name.strip()]
        if not outputs or all(Path(name).exists() for name in outputs):
            continue
        logs = [name.strip() for name in fields.get("log", "").split(" (check", 1)[0].split(",") if name.strip()]
        path = next((name for name in logs if Path(name).is_file()), logs[0] if logs else "")
        found[outputs[0]] = Failure(rule, outputs[0], path, tail(Path(path)) if path else ())
    return list(found.values())


def tail(path: Path, lines: int = LOG_LINES) -> tuple[str, ...]:
    """The last lines of a file that are not empty; none when it cannot be read."""
    try:
        text = path.read_bytes()[-8000:].decode(errors="replace")
    except OSError:
        return ()
    return tuple([line for line in text.splitlines() if line.strip()][-lines:])


def curve(losses: tuple[float, ...], width: int = 24) -> str:
    """The losses as a row of bars, each the mean of its share of the steps."""
    if not losses:
        return ""
    count = min(width, len(losses))
    parts = [losses[i * len(losses) // count : (i + 1) * len(losses) // count] for i in range(count)]
    means = [sum(part) / len(part) for part in parts]
    low, high = min(means), max(means)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((mean - low) * scale)] for mean in means)


def counts(runs: list[Run]) -> dict[str, dict[str, Counter[str]]]:
    """By study, and by candidates and final runs: how many are in each state."""
    table: dict[str, dict[str, Counter[str]]] = {}
    for run in runs:
        row = table.setdefault(run.study, {})
        row.setdefault("candidates" if run.candidate else "final runs", Counter())[run.state] += 1
    return table


def summary(plan: Plan, runs: list[Run], work: list[Work], target: str) -> list[str]:
    """How far the target is, in a sentence a study and one about all of it."""
    lines = []
    for study, kinds in counts(runs).items():
        parts = []
        for kind, states in sorted(kinds.items()):
            rest = ", ".join(f"{states[state]} {state}" for state in UNFINISHED if states[state])
            parts.append(f"{kind} {states['finished']} of {states.total()} finished" + (f" ({rest})" if rest else ""))
        lines.append(f"{study}: {'; '.join(parts)}")
    hours, seconds = left(plan, runs, work)
    if hours:
        at_a_time = f"{devices(plan)} devices" if devices(plan) > 1 else "one device"
        lines.append(
            f"left for {target}: {hours:.2g} device-hours, {duration(seconds)} with {at_a_time} (budget.py's model)"
        )
    return lines


def in_slurm(jobs: list[Job]) -> Iterator[str]:
    """A line for each job that has started, and one for those that wait for the same with the same rule."""
    waiting: Counter[tuple[str, str]] = Counter()
    for job in jobs:
        if job.state == "PENDING":
            waiting[job.what.split(" ")[0], job.where] += 1
        else:
            yield f"{job.id}  {job.state}  {job.what}  {job.elapsed} of {job.limit}  {job.where}"
    for (rule, why), number in waiting.items():
        yield f"{number} PENDING  {rule}  {why}"


def terminal(lines: list[str], runs: list[Run], jobs: list[Job], failed: list[Failure]) -> Iterator[str]:
    """The status as lines of text, of which `lines` are the first."""
    yield from lines
    active = [run for run in runs if run.shown]
    if active:
        yield "\nin training"
    for run in active:
        where = f"  job {run.job.id} on {run.job.where} since {run.job.since} ({run.job.elapsed})" if run.job else ""
        loss = f"  loss {run.losses[-1]:.4g}" if run.losses else ""
        pace = f"  {run.seconds_a_step:.2g} s a step" if run.seconds_a_step else ""
        yield f"  {run.id}  {run.state}  step {run.steps}{loss}{pace}{where}  {curve(run.losses)}"
    running = {run.job.id for run in runs if run.job and run.state == "running"}
    others = [job for job in jobs if job.id not in running]
    if others:
        yield "\nin SLURM"
    yield from (f"  {line}" for line in in_slurm(others))
    if failed:
        yield "\nfailed"
    for failure in failed:
        yield f"  {failure.rule}: {failure.output} is missing; {failure.log or 'no log'}"
        yield from (f"    {line}" for line in failure.lines)


def svg(losses: tuple[float, ...]) -> str:
    """The losses as a small line."""
    if len(losses) < 2:
        return ""
    low, high = min(losses), max(losses)
    stride = max(len(losses) // 200, 1)
    points = " ".join(
        f"{160 * i / (len(losses) - 1):.1f},{30 - 28 * (losses[i] - low) / ((high - low) or 1):.1f}"
        for i in range(0, len(losses), stride)
    )
    label = f"loss from {losses[0]:.4g} to {losses[-1]:.4g}"
    return (
        f'<svg width="160" height="32" role="img" aria-label="{label}"><title>{label}</title>'
        f'<polyline points="{points}" fill="none" stroke="currentColor"/></svg>'
    )


def html_table(titles: list[str], rows: list[list[str]]) -> str:
    """A table of cells that are HTML already."""
    lines = [titles, *rows]
    return (
        "<table>"
        + "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in lines)
        + "</table>"
    )


def page(scale: str, lines: list[str], runs: list[Run], jobs: list[Job], failed: list[Failure]) -> str:
    """The status as one HTML file that reloads itself once a minute and needs nothing from the network."""
    escape = html.escape
    training = []
    for run in runs:
        if not run.shown:
            continue
        loss = f"{run.losses[-1]:.4g}" if run.losses else ""
        job = f"{run.job.id} on {run.job.where}, {run.job.elapsed} of {run.job.limit}" if run.job else ""
        since = run.job.since if run.job else ""
        cells = (run.id, run.state, since, str(run.steps or ""), loss)
        training.append([*map(escape, cells), svg(run.losses), escape(job)])
    queue = [
        [escape(cell) for cell in (job.id, job.state, job.what, job.since, f"{job.elapsed} of {job.limit}", job.where)]
        for job in jobs
    ]
    parts = ["<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"]
    if training:
        titles = ["run", "state", "since", "step", "loss", "curve", "SLURM job"]
        parts.append(f"<h2>In training</h2>{html_table(titles, training)}")
    if queue:
        titles = ["job", "state", "what", "since", "time", "where, or why not"]
        parts.append(f"<h2>In SLURM</h2>{html_table(titles, queue)}")
    if failed:
        parts.append("<h2>Failed</h2>")
    for one in failed:
        said = escape("\n".join(one.lines))
        parts.append(f"<h3>{escape(one.rule)}: {escape(one.output)}</h3><p>{escape(one.log)}</p><pre>{said}</pre>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="60">'
        f"<title>{scale}: status</title><style>{STYLE}</style></head><body><h1>Status of scale {scale}</h1>"
        f"<p>As of {time.strftime('%Y-%m-%d %H:%M:%S')}.</p>{''.join(parts)}</body></html>\n"
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="status.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--scale", help="whose runs (default: the scale of config.yaml)")
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="the study (default: %(default)s)")
    parser.add_argument("--target", default="all", help="a table or figure, with all behind it (default: %(default)s)")
    parser.add_argument("--html", type=Path, metavar="PAGE", help="write a page that reloads itself instead")
    parser.add_argument("--watch", type=float, metavar="SECONDS", help="repeat every so many seconds")
    options = parser.parse_args(arguments)
    if options.target not in TARGETS:
        raise SdftError(f"there is no target {options.target!r}; {did_you_mean(options.target, TARGETS)}")
    plan = Plan(load_config(options.config), options.scale)
    while True:
        jobs, work = slurm_jobs(Path.cwd()), forecast(plan, options.target)[0]
        runs, failed = plan_runs(plan, jobs, work, options.target), failures(last_log())
        lines = summary(plan, runs, work, options.target)
        if options.html:
            write_text(options.html, page(plan.name, lines, runs, jobs, failed))
        else:
            print("\n".join(terminal(lines, runs, jobs, failed)), flush=True)
        if not options.watch:
            return
        time.sleep(options.watch)


if __name__ == "__main__":
    run_main(main)
