"""All that this workflow asks of Snakemake beside its documented surface: to be read again for a new version.

With a version that nobody has tested it says so, and works on.
"""

from __future__ import annotations

import atexit
import gc
import shutil
import socket
import sys
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from sdft.common.errors import SdftError, did_you_mean
from sdft.common.locks import this_process, try_lock
from sdft.study.forecast import check_budget, hours_of
from sdft.study.plan import Plan
from sdft.study.requests import known_jobs

TESTED = (9, 27)
# The file whose lock a running Snakemake holds; workflow_scripts/start.py looks at it too.
RUNNING = "running"
# Snakemake's own limit of jobs a second, where the command line gives none: so many in so many seconds.
USUAL_LIMIT = (100, 1)
# New objects between two looks for those that nothing holds; Python's own number is 700.
BETWEEN_COLLECTIONS = 100_000


def say_untested(version: str | None = None) -> None:
    """Say on stderr that Snakemake is newer than what was tested."""
    version = version or metadata.version("snakemake")
    if tuple(map(int, version.split(".")[:2])) > TESTED:
        tested = ".".join(map(str, TESTED))
        print(f"note: Snakemake {version} is newer than {tested}, with which this was tested", file=sys.stderr)


def is_dry(workflow: Any) -> bool:
    """Whether this is a dry run. While Snakemake reads the Snakefile, only the settings of its output know."""
    settings = workflow.output_settings
    return workflow.dryrun or bool(settings is not None and settings.dryrun)


def recover(state: Path = Path(".snakemake"), dryrun: bool = False) -> IO[str] | None:
    """Let a start after any end of the last Snakemake continue, without --unlock or --rerun-incomplete.

    Returns the file whose lock says that this process runs here; the kernel drops it with the process, unlike the files
    by which Snakemake marks a running workflow. All who run here share it; who gets it alone knows that such files are
    left over. A dry run touches nothing. Raises SdftError where there are no locks, and where the last Snakemake was
    killed on another machine, whose locks may not be seen from here.
    """
    if dryrun:
        return None
    state.mkdir(exist_ok=True)
    # It stays open for as long as the process lives.
    running = open(state / RUNNING, "a+", encoding="utf-8")  # noqa: SIM115
    if try_lock(running, state / RUNNING):
        running.seek(0)
        elsewhere = [line for line in running.read().splitlines() if f" on host {socket.gethostname()} " not in line]
        if elsewhere and any(state.glob("locks/*.lock")):
            raise SdftError(
                f"the last Snakemake of this directory did not end in order ({elsewhere[-1]}), and from here it cannot "
                f"be seen whether it runs. Make sure that it does not, delete {state / RUNNING}, and run the same "
                "command again."
            )
        shutil.rmtree(state / "locks", ignore_errors=True)
        shutil.rmtree(state / "incomplete", ignore_errors=True)
        running.truncate(0)
    for _ in range(50):
        # One that is starting has it alone for a moment.
        if try_lock(running, state / RUNNING, shared=True):
            break
        time.sleep(0.1)
    mine = this_process()
    running.write(f"{mine}\n")
    running.flush()
    atexit.register(_ended, state / RUNNING, mine)
    return running


def _ended(path: Path, mine: str) -> None:
    """Take this process's line out, when it ends in order."""
    with suppress(OSError):
        lines = path.read_text(encoding="utf-8").splitlines()
        path.write_text("".join(f"{line}\n" for line in lines if line != mine), encoding="utf-8")


def trust_outputs() -> None:
    """Let Snakemake take outputs as whole that it marked as incomplete when their job began.

    Every step writes its outputs by rename, and one that an earlier Snakemake left behind keeps others from its results
    (sdft/common/locks.py). Without this a job that ends after its Snakemake would stop every later start.
    """
    # Its modules import each other in a circle, which is to be entered here.
    import snakemake.api  # noqa: F401
    from snakemake.dag import DAG

    async def check_incomplete(self: Any) -> None:
        return None

    DAG.check_incomplete = check_incomplete


def build_quickly() -> None:
    """Let Snakemake look once for the rules that make a file, and seldom for objects that nothing holds.

    It compares a file with every output of every rule for each job that reads it. And what a DAG consists of stays; the
    collector would go through all of it again and again while it grows.
    """
    from snakemake.output_index import OutputIndex

    search = OutputIndex.match_producers
    if search.__module__ != __name__:

        def match_producers(self: Any, targetfile: str) -> set[Any]:
            found = vars(self).setdefault("found", {})
            if targetfile not in found:
                found[targetfile] = search(self, targetfile)
            return found[targetfile]

        OutputIndex.match_producers = match_producers
    gc.freeze()
    gc.set_threshold(BETWEEN_COLLECTIONS)


def ease_scheduling(scheduler: Any) -> None:
    """Ask for no limit of jobs a second, unless the command line asks for another one than the usual.

    Under such a limit Snakemake looks at all waiting jobs again one time span after every look, for ever. Its default
    span of a second ends in looking without a pause: over hundreds of jobs, half a core's work. Cores and `jobs` bound
    what runs here.
    """
    limiter = scheduler.job_rate_limiter
    if limiter is not None and (limiter.max_jobs, limiter.timespan) == USUAL_LIMIT:
        scheduler.job_rate_limiter = None


def to_make(workflow: Any) -> set[str]:
    """The outputs of all jobs that Snakemake runs, or would run."""
    jobs = workflow.dag.needrun_jobs(exclude_finished=False)
    return {str(path) for job in jobs for path in job.output}


def refuse_dear_start(workflow: Any, plan: Plan) -> None:
    """Raise SdftError where what Snakemake is about to run exceeds the configured budget, whatever was asked for."""
    if plan.config.budget.device_hours is not None:
        check_budget(plan, hours_of(plan, to_make(workflow)))


def say_forecast(workflow: Any, plan: Plan) -> None:
    """At the end of a dry run that has built its DAG, say on stderr what it would cost."""
    if workflow.dag is None or not workflow.dryrun or unknown_targets(workflow):
        return
    targets = sorted(map(str, workflow.dag_settings.targets)) or ["all"]
    try:
        hours = hours_of(plan, to_make(workflow), known_jobs(plan) if plan.scale.gpus else None)
    except SdftError as error:
        print(f"no forecast: {error}", file=sys.stderr)
        return
    print(
        f"forecast: {hours:.1f} device-hours for {', '.join(targets)} at scale {plan.name} "
        "(python workflow_scripts/budget.py says more)",
        file=sys.stderr,
    )


def explain(workflow: Any, titles: dict[str, str]) -> None:
    """Give rules that a loop defines what --list-target-rules says of them, as a docstring does of others."""
    for name, title in titles.items():
        workflow.get_rule(name).docstring = title


def say_nearest(workflow: Any) -> None:
    """At the end, say on stderr what a target that is neither a rule nor a path may have meant.

    Snakemake itself only says that no rule produces it; and what was asked for is known once its start has failed.
    """
    known = _target_rules(workflow)
    for target in unknown_targets(workflow):
        print(
            f"error: there is no target {target!r}; {did_you_mean(target, known)} `snakemake --list-target-rules` "
            "lists them all.",
            file=sys.stderr,
        )


def unknown_targets(workflow: Any) -> list[str]:
    """What was asked for and is neither a rule nor can be a path."""
    settings, known = getattr(workflow, "dag_settings", None), _target_rules(workflow)
    asked = sorted(map(str, settings.targets if settings else ()))
    return [name for name in asked if name not in known and not set(name) & set("/.{") and not Path(name).exists()]


def _target_rules(workflow: Any) -> set[str]:
    return {rule.name for rule in workflow.rules if not rule.has_wildcards()}
