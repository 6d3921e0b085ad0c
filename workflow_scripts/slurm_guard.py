"""Cures for snakemake-executor-plugin-slurm 2.8.0, which can wait for ever for a job that has ended.

Each cure is for something seen on a real cluster, and tests/slurm has a test for it:

- A status query in which every attempt fails (slurmctld or slurmdbd restarting) makes the plugin forget all its jobs.
  Here they are kept and asked for again.
- Where it cannot read MinJobAge, in that same moment, it changes from squeue to sacct. Here it uses what the profile
  says.
- sacct's "CANCELLED by 1000" is not the "CANCELLED" it looks for.
- PREEMPTED and NODE_FAIL count as running, since SLURM may start the job again. Here a job that stays so has failed.
- A job that SLURM has forgotten counts as running. Here it is ended, and its output files tell how.
- A job that SLURM could not launch and put on hold waits for somebody to release it. Here it is cancelled, so that it
  is tried again.
- It takes no GPU type, and no gres, with a hyphen (a100-sxm4-80gb), which SLURM does. Here it takes them.
- The pause between two looks grows to three minutes. Here it has an upper bound.

It also refuses, before anything is submitted, what would end badly: a start while jobs of an earlier controller still
run in this directory, and requests that sbatch would turn down.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

PLUGIN = "snakemake-executor-plugin-slurm"
CHECKED_VERSION = "2.8.0"

# What SLURM job names begin with: slurm-jobname-prefix in slurm/profile.yaml.
PREFIX = "sdft"

# States in which SLURM may still start a job again (or, missing, may not list it yet), and what they mean if they stay.
LASTING = {"PREEMPTED": "FAILED", "NODE_FAIL": "FAILED", "missing": "UNKNOWN"}
LASTING_POLLS = 3
# squeue shows the present; accounting may be minutes behind.
LASTING_SECONDS = {"squeue": 0.0, "sacct": 600.0}

# Reasons with which SLURM itself puts a job on hold after it failed to launch; a person's hold has others.
HELD = ("launch failed requeued held", "JobHoldMaxRequeue")

# A type of GPU, or a gres with one, as SLURM writes them.
HYPHENATED = re.compile(r"[\w.-]+(:[\w.-]+)?(:\d+)?")

SILENCE_SECONDS = 60.0
STATUS_PAGE_SECONDS = 300.0


async def output_of(*command: str) -> str:
    """Standard output of a command; empty when it fails."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    out, _ = await process.communicate()
    return out.decode() if process.returncode == 0 else ""


class Watch:
    """Corrects the answers of the status command for the jobs that the executor is waiting for.

    query: the plugin's own. run: gives the output of a SLURM command.
    """

    def __init__(self, query: Any, clock: Any = time.monotonic, run: Any = output_of) -> None:
        self.query = query
        self.clock = clock
        self.run = run
        self.active: list[str] = []
        self._since: dict[str, tuple[str, float, int]] = {}

    async def ask(self, command: str, logger: Any) -> tuple[dict[str, str] | None, float | None]:
        """States by job id and the query's seconds, or (None, None) when there was no answer."""
        states, seconds = await self.query(command, logger)
        if states is None:
            return None, None
        states = {job: state.split()[0] for job, state in states.items() if state}
        patience = LASTING_SECONDS["sacct" if command.startswith("sacct") else "squeue"]
        for job in self.active:
            state = states.get(job, "missing")
            if state in LASTING and self._lasts(job, state, patience):
                logger.warning(f"SLURM job {job} stays {state}; it is taken as {LASTING[state]}.")
                states[job] = LASTING[state]
            elif state not in LASTING:
                self._since.pop(job, None)
        for job in await self._held([job for job in self.active if states.get(job) == "PENDING"]):
            logger.warning(f"SLURM could not launch job {job} and holds it; it is cancelled and taken as FAILED.")
            await self.run("scancel", job)
            states[job] = "FAILED"
        return states, seconds

    async def _held(self, pending: list[str]) -> list[str]:
        if not pending:
            return []
        answer = await self.run("squeue", "--me", "--noheader", "--states=PENDING", "--format=%i|%r")
        reasons = dict(line.split("|", 1) for line in answer.splitlines() if "|" in line)
        return [job for job in pending if reasons.get(job, "").strip() in HELD]

    def _lasts(self, job: str, state: str, patience: float) -> bool:
        before, since, polls = self._since.get(job, (state, self.clock(), 0))
        if before != state:
            since, polls = self.clock(), 0
        self._since[job] = (state, since, polls + 1)
        return polls + 1 >= LASTING_POLLS and self.clock() - since >= patience


def jobs_here(folder: str | Path, prefix: str, timeout: float = 30) -> list[str]:
    """Ids of the user's unfinished SLURM jobs that a Snakemake with this job-name prefix submitted from `folder`.

    Raises OSError or subprocess.SubprocessError when squeue gives no answer.
    """
    command = ["squeue", "--me", "--noheader", "--format=%i|%j|%Z"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True).stdout
    here = os.path.realpath(folder)
    fields = (line.split("|", 2) for line in answer.splitlines())
    return [job for job, name, where in fields if name.startswith(f"{prefix}_") and os.path.realpath(where) == here]


def _jobs_of_earlier_controllers(prefix: str, patience: float = 60) -> list[str]:
    """`jobs_here` for the working directory, waiting for a controller that is away for a moment."""
    from snakemake_interface_common.exceptions import WorkflowError

    end = time.monotonic() + patience
    while True:
        try:
            return jobs_here(Path.cwd(), prefix)
        except FileNotFoundError:
            raise WorkflowError("squeue is not on PATH: start on a machine that can submit SLURM jobs.") from None
        except (OSError, subprocess.SubprocessError) as error:
            if time.monotonic() > end:
                said = (getattr(error, "stderr", "") or str(error)).strip()
                raise WorkflowError(f"squeue gives no answer ({said}); try again when `squeue` works.") from None
            time.sleep(3)


def _refuse_orphans(prefix: str) -> None:
    from snakemake_interface_common.exceptions import WorkflowError

    jobs = _jobs_of_earlier_controllers(prefix) if prefix else []
    if jobs:
        raise WorkflowError(
            f"SLURM jobs of an earlier Snakemake still run for this directory ({', '.join(jobs[:8])}"
            f"{', ...' if len(jobs) > 8 else ''}); a second copy of them would write the same files. Start with "
            "`python workflow_scripts/start.py`, which stops them first (training continues at its checkpoints), or "
            "with `--orphans wait`, which lets them finish."
        )


def _refuse_bad_requests(executor: Any, plugin: Any) -> None:
    """Ask sbatch, for one job of each rule, whether it would take the job. Raises WorkflowError with its answer."""
    from snakemake_interface_common.exceptions import WorkflowError

    jobs = {job.rule.name: job for job in executor.workflow.dag.needrun_jobs() if not job.is_local}
    for rule, job in jobs.items():
        request = {
            "run_uuid": executor.run_uuid,
            "slurm_logfile": os.devnull,
            "comment_str": "test",
            "account": next(executor.get_account_arg(job)),
            "partition": executor.get_partition_arg(job),
            "workdir": os.getcwd(),
        }
        call = plugin.get_submit_command(job, request, settings=executor.workflow.executor_settings)
        call += plugin.set_gres_string(job) + " --test-only --wrap true"
        done = subprocess.run(call, shell=True, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise WorkflowError(
                f"sbatch would refuse the jobs of rule {rule}: {' '.join(done.stderr.split())} Set SDFT_SLURM_ACCOUNT, "
                "SDFT_SLURM_PARTITION, SDFT_SLURM_CPU_PARTITION and SDFT_SLURM_GPU for this site (slurm/README.md; "
                "`python workflow_scripts/doctor.py` looks at the cluster and proposes the lines). The request was: "
                f"{call}"
            )


def _write_status_page(scale: str) -> None:
    """Let status.py write its page; where it cannot, the page stays as it was."""
    command = [sys.executable, str(Path(__file__).with_name("status.py"))]
    command += ["--scale", scale, "--html", f"results/{scale}/status.html"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, timeout=120, **quiet)


def _refresh_status_page(scale: str, last: list[float]) -> None:
    """Have the page written now and then, without waiting for it."""
    if time.monotonic() - last[0] < STATUS_PAGE_SECONDS:
        return
    last[0] = time.monotonic()
    # The thread lives as long as the command, so that no dead process is left behind.
    threading.Thread(target=_write_status_page, args=(scale,), daemon=True).start()


def poll_seconds(scale: str) -> float:
    """Upper bound, in seconds, of the pause between two looks at the jobs: jobs of a small scale last seconds."""
    return float(os.environ.get("SDFT_SLURM_POLL", "60" if scale == "paper" else "2"))


def gpu_request(original: Any, job: Any) -> str:
    """The plugin's request for GPUs, also of a type with a hyphen."""
    gpus, kind, gres = (job.resources.get(name) for name in ("gpu", "gpu_model", "gres"))
    if kind and gpus and "-" in kind and HYPHENATED.fullmatch(kind):
        return f" --gpus={kind}:{gpus}"
    if gres and "-" in gres and HYPHENATED.fullmatch(gres):
        return f" --gres={gres}"
    return original(job)


def install(scale: str, plugin: Any = None) -> None:
    """Put the cures into the plugin, once. To be called in the process that submits, before it makes its executor.

    scale: of the jobs, and of the status page that is written now and then. With another version of the plugin than
    the one that these cures were tested with, SLURM runs are refused.
    """
    plugin = plugin or sys.modules.get("snakemake_executor_plugin_slurm")
    if plugin is None or getattr(plugin, "sdft_watch", None) is not None:
        return
    executor = plugin.Executor
    found = metadata.version(PLUGIN)
    if found != CHECKED_VERSION and not os.environ.get("SDFT_SLURM_UNGUARDED"):

        def refuse(self: Any, *_: Any, **__: Any) -> None:
            from snakemake_interface_common.exceptions import WorkflowError

            raise WorkflowError(
                f"{PLUGIN} is version {found}, but the cures for its hangs were tested with {CHECKED_VERSION}: "
                f"pip install {PLUGIN}=={CHECKED_VERSION}, or set SDFT_SLURM_UNGUARDED=1 to run without them."
            )

        executor.__init__ = refuse
        return
    if found != CHECKED_VERSION:
        return

    longest_pause = poll_seconds(scale)
    watch = plugin.sdft_watch = Watch(plugin.query_job_status)
    plugin.query_job_status = watch.ask
    plugin.get_min_job_age = lambda: sys.maxsize
    plugin.set_gres_string = partial(gpu_request, plugin.set_gres_string)
    check_active_jobs, run_jobs, make = executor.check_active_jobs, executor.run_jobs, executor.__init__
    answered_at = [time.monotonic()]
    page_written_at = [time.monotonic()]

    async def check(self: Any, jobs: list[Any]) -> AsyncIterator[Any]:
        # The thread that calls this is started before the executor is complete, and has no jobs then.
        watch.active = [job.external_jobid for job in jobs]
        answers = self._status_query_calls if jobs else 0
        async for job in check_active_jobs(self, jobs):
            yield job
        if not jobs or self._status_query_calls > answers:
            answered_at[0] = time.monotonic()
        else:
            silence = time.monotonic() - answered_at[0]
            if silence > SILENCE_SECONDS:
                self.logger.warning(f"SLURM has not answered for {silence:.0f} s; {len(jobs)} jobs are kept.")
            for job in jobs:
                yield job
        _refresh_status_page(scale, page_written_at)

    async def sleep(self: Any) -> None:
        await asyncio.sleep(min(self.next_seconds_between_status_checks, longest_pause))

    def start(self: Any, workflow: Any, logger: Any) -> None:
        _refuse_orphans(workflow.executor_settings.jobname_prefix)
        make(self, workflow, logger)

    def submit(self: Any, jobs: list[Any]) -> None:
        if not hasattr(self, "sdft_requests_checked"):
            self.sdft_requests_checked = True
            _refuse_bad_requests(self, plugin)
            # The page of a study that has ended, however it ended, shows its end.
            atexit.register(_write_status_page, scale)
        run_jobs(self, jobs)

    executor.check_active_jobs = check
    executor.sleep = sleep
    executor.__init__ = start
    executor.run_jobs = submit
