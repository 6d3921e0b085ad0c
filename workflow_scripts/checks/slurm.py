"""Is this cluster one that the shipped profile works on, and if not, which lines does the site need?"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError
from sdft.common.locks import try_lock
from sdft.config import load_config
from sdft.study.cards import verdict
from sdft.study.forecast import model_size
from sdft.study.plan import Plan
from sdft.study.steps import requests
from workflow_scripts.checks import Answer, Doctor, Finding, check
from workflow_scripts.slurm_guard import CHECKED_VERSION, PLUGIN, poll_seconds

ROOT = Path(__file__).resolve().parents[2]
# MB of memory of a GPU job: what the profile asks for, and what to fall back to on smaller nodes.
GPU_JOB_MEMORY = (120000, 96000, 64000, 48000, 32000)
# The shares of a node's memory that a job may get there, where the site keeps some for itself.
SHARES = (1.0, 0.97, 0.9)
# Seconds that squeue must remember a finished job: a few polls and an outage of the controller.
REMEMBER_SECONDS = 300


def settings(doctor: Doctor) -> dict[str, str]:
    """slurmctld's settings, empty when it gives no answer."""
    pairs = (line.split("=", 1) for line in doctor.run("scontrol", "show", "config").out.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def number(text: str) -> int:
    """The number at the start of a setting such as `300 sec` or `128000+`; 0 when there is none."""
    found = re.match(r"\d+", text)
    return int(found.group()) if found else 0


def would_accept(doctor: Doctor, *request: str) -> Answer:
    """Ask sbatch whether it would take a job with this request, in the site's account and partition."""
    where = []
    for option, name in (("--account", "SDFT_SLURM_ACCOUNT"), ("--partition", "SDFT_SLURM_PARTITION")):
        if value := os.environ.get(name):
            where.append(f"{option}={value}")
    return doctor.run("sbatch", "--test-only", "--time=1", *where, *request, "--wrap", "true")


@check("slurm", "commands")
def commands(doctor: Doctor) -> Finding:
    missing = [
        name for name in ("sbatch", "squeue", "scancel", "scontrol", "sinfo", "sacct", "srun") if not shutil.which(name)
    ]
    if missing:
        # The plugin calls sacct to guess an account even where the status comes from squeue.
        return Finding("fail", f"not on PATH: {', '.join(missing)}", "run this on a login node, or load SLURM's module")
    return Finding("ok", doctor.run("sbatch", "--version").out)


@check("slurm", "executor plugin")
def plugin(doctor: Doctor) -> Finding:
    try:
        found = metadata.version(PLUGIN)
    except metadata.PackageNotFoundError:
        return Finding("fail", f"{PLUGIN} is not installed", "pip install -r requirements.txt")
    if found != CHECKED_VERSION:
        remedy = f"pip install {PLUGIN}=={CHECKED_VERSION}"
        return Finding("fail", f"{PLUGIN} {found}; its hangs are cured for {CHECKED_VERSION} only", remedy)
    return Finding("ok", f"{PLUGIN} {found}")


@check("slurm", "controller")
def controller(doctor: Doctor) -> Iterator[Finding]:
    answer = doctor.run("scontrol", "ping")
    if not answer.ok:
        yield Finding("fail", f"slurmctld gives no answer: {answer.err or answer.out}", "ask the site's administrators")
        return
    yield Finding("ok", answer.out.splitlines()[0] if answer.out else "slurmctld answers")
    # Inside a job the executor removes every SLURM_ variable, SLURM_CONF too, before it calls srun.
    if os.environ.get("SLURM_CONF") and not doctor.run("env", "-u", "SLURM_CONF", "scontrol", "ping").ok:
        yield Finding(
            "warn",
            f"SLURM is found only through SLURM_CONF={os.environ['SLURM_CONF']}, which jobs lose before they call srun",
            "put a script named srun first on PATH that sets SLURM_CONF and calls the real one; the probe below shows "
            "whether jobs work",
        )


@check("slurm", "how a job's end is seen")
def status_command(doctor: Doctor) -> Finding:
    found = settings(doctor)
    age = number(found.get("MinJobAge", ""))
    works = doctor.run("sacct", "--noheader", "--allocations", "--starttime=now-1hours")
    if age >= REMEMBER_SECONDS:
        how = "squeue" if doctor.run("squeue", "--me", "--states=all").ok else ""
        doctor.propose("slurm-status-command", "squeue")
        accounting = "accounting works too" if works.ok else "accounting is off, and not needed"
        if how:
            return Finding("ok", f"squeue; finished jobs are remembered for {age} s (MinJobAge); {accounting}")
    if works.ok:
        doctor.propose("slurm-status-command", "sacct")
        return Finding("ok", f"sacct; squeue forgets finished jobs after {age} s (MinJobAge)")
    doctor.propose("slurm-status-command", "squeue")
    return Finding(
        "warn",
        f"squeue forgets finished jobs after {age} s (MinJobAge) and sacct does not work ({works.err[:100]}); a job "
        "that is forgotten before it is seen is judged by its output files",
        f"ask for MinJobAge >= {REMEMBER_SECONDS}, or set SDFT_SLURM_POLL to {max(age // 3, 1)} (now "
        f"{poll_seconds('paper'):g} at scale paper)",
    )


@check("slurm", "account")
def account(doctor: Doctor) -> Finding:
    given = os.environ.get("SDFT_SLURM_ACCOUNT")
    answer = doctor.run(
        "sacctmgr", "--noheader", "--parsable2", "show", "assoc", f"user={os.environ.get('USER', '')}", "format=account"
    )
    known = sorted(set(answer.out.split())) if answer.ok else []
    if given and known and given.lower() not in known:
        remedy = f"export SDFT_SLURM_ACCOUNT={known[0]}"
        return Finding("fail", f"SDFT_SLURM_ACCOUNT={given} is not one of yours: {', '.join(known)}", remedy)
    if would_accept(doctor).ok:
        return Finding("ok", f"account {given}" if given else "the site's default is accepted")
    remedy = f"export SDFT_SLURM_ACCOUNT={known[0] if known else 'NAME'}"
    said = would_accept(doctor).err
    return Finding(
        "fail", f"sbatch refuses a one-minute job: {said}", f"{remedy} (yours: {', '.join(known) or 'unknown'})"
    )


@check("slurm", "partition")
def partition(doctor: Doctor) -> Iterator[Finding]:
    lines = doctor.run("sinfo", "--noheader", "--format=%P|%l|%G").out.splitlines()
    rows = [line.split("|") for line in lines if line.count("|") == 2]
    with_gpu = sorted({name.rstrip("*") for name, _, gres in rows if "gpu" in gres})
    given = os.environ.get("SDFT_SLURM_PARTITION")
    default = next((name.rstrip("*") for name, _, _ in rows if name.endswith("*")), None)
    name = given or default
    if name is None:
        remedy = f"export SDFT_SLURM_PARTITION={with_gpu[0] if with_gpu else 'NAME'}"
        yield Finding("fail", "the site has no default partition", remedy)
        return
    if name not in [row[0].rstrip("*") for row in rows]:
        remedy = f"export SDFT_SLURM_PARTITION to one of: {', '.join(sorted({row[0].rstrip('*') for row in rows}))}"
        yield Finding("fail", f"there is no partition {name}", remedy)
        return
    if name not in with_gpu:
        remedy = (
            f"export SDFT_SLURM_PARTITION to one of: {', '.join(with_gpu)}" if with_gpu else "ask where the GPUs are"
        )
        yield Finding("warn", f"partition {name} shows no GPU", remedy)
    else:
        yield Finding("ok", f"partition {name}; with GPUs: {', '.join(with_gpu)}")
    limit = next(row[1] for row in rows if row[0].rstrip("*") == name)
    minutes = limit_minutes(limit)
    longest = most_asked(requests.training_minutes)
    if minutes is not None and minutes < longest:
        remedy = f"export SDFT_SLURM_MAX_MINUTES={minutes}; longer jobs then go back to the queue and continue"
        yield Finding(
            "warn", f"jobs may last {limit} there; the longest training asks for {longest / 60:.0f} h", remedy
        )


@check("slurm", "partition without GPU")
def cpu_partition(doctor: Doctor) -> Finding:
    given = os.environ.get("SDFT_SLURM_CPU_PARTITION")
    if not given:
        return Finding("ok", "jobs without a GPU go to the same partition")
    known = sorted({name.rstrip("*") for name in doctor.run("sinfo", "--noheader", "--format=%P").out.split()})
    if given not in known:
        return Finding(
            "fail",
            f"there is no partition {given}, which SDFT_SLURM_CPU_PARTITION names",
            f"export SDFT_SLURM_CPU_PARTITION to one of: {', '.join(known)}; or unset it",
        )
    answer = would_accept(doctor, f"--partition={given}")
    if not answer.ok:
        remedy = "export SDFT_SLURM_CPU_PARTITION to one that takes your jobs, or unset it"
        return Finding("fail", f"partition {given} refuses a one-minute job: {answer.err}", remedy)
    return Finding("ok", f"jobs without a GPU go to partition {given}")


def limit_minutes(text: str) -> int | None:
    """Minutes of a time limit as sinfo writes it (7-00:00:00, 12:00:00, 30:00); None for infinite."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if not found:
        return None
    days, hours, mins, _ = (int(part or 0) for part in found.groups())
    return (days * 24 + hours) * 60 + mins


def gpu_types(doctor: Doctor) -> list[str]:
    """The types of GPU that sinfo names."""
    return sorted(set(re.findall(r"gpu:([A-Za-z][\w.-]*)", doctor.run("sinfo", "--noheader", "--format=%G").out)))


@check("slurm", "GPU request")
def gpu(doctor: Doctor) -> Finding:
    kind = os.environ.get("SDFT_SLURM_GPU", "")
    typed = f"{kind}:1" if kind else "1"
    # Ways to ask, the shipped one first, and what each needs in the profile.
    ways = {f"--gpus={typed}": {}, f"--gres=gpu:{typed}": {"gpu": 0, "gpu_model": "''", "gres": f"'gpu:{typed}'"}}
    for memory in GPU_JOB_MEMORY:
        for flag, lines in ways.items():
            if not would_accept(doctor, flag, "--cpus-per-task=8", f"--mem={memory}").ok:
                continue
            if memory < GPU_JOB_MEMORY[0]:
                lines = {**lines, "mem_mb": str(memory)}
            # The rules with resources of their own are those that ask for a GPU.
            for rule in doctor.profile["set-resources"] if lines else ():
                doctor.propose(rule, lines, under="set-resources")
            said = f"{flag} with 8 CPUs and {memory // 1000} GB is accepted"
            return (
                Finding("warn", f"{said}, not what the profile asks", "see the proposed lines")
                if lines
                else Finding("ok", said)
            )
    types = gpu_types(doctor)
    said = would_accept(doctor, f"--gpus={typed}", "--cpus-per-task=8").err
    remedy = f"export SDFT_SLURM_GPU to one of: {', '.join(types)}" if types else "sinfo shows no GPU at all"
    return Finding("fail", f"a job with one GPU and 8 CPUs is refused: {said}", remedy)


def largest_memory(doctor: Doctor) -> int | None:
    """MB of the largest node with a GPU of the partition that jobs go to; None when sinfo shows none."""
    lines = doctor.run("sinfo", "--noheader", "--exact", "--format=%P|%m|%G").out.splitlines()
    rows = [line.split("|") for line in lines if line.count("|") == 2]
    given = os.environ.get("SDFT_SLURM_PARTITION")
    wanted = [row for row in rows if (row[0].rstrip("*") == given if given else row[0].endswith("*"))]
    sizes = [number(size) for _, size, gres in wanted if "gpu" in gres]
    return max(sizes, default=0) or None


def most_asked(request: Callable[..., int], attempt: int = 1) -> int:
    """The most that any training of the paper's scale asks for, whatever this site allows."""
    plan = Plan(load_config(ROOT / "config.yaml"), "paper")
    with allowing_all():
        return max(request(plan, run.id, attempt) for run in plan.runs())


@contextmanager
def allowing_all() -> Iterator[None]:
    """Within, the site's bounds do not count."""
    before = dict(os.environ)
    for name in ("SDFT_SLURM_MAX_MINUTES", "SDFT_SLURM_MAX_MEMORY"):
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.update(before)


@check("slurm", "memory of later attempts")
def memory(doctor: Doctor) -> Finding:
    largest = largest_memory(doctor)
    if largest is None:
        return Finding("skip", "sinfo shows no node with a GPU in the partition of the jobs")
    attempts = 1 + int(doctor.profile.get("retries", 0))
    most = most_asked(requests.training_memory, attempts)
    if most <= largest:
        return Finding("ok", f"{largest // 1000} GB on the largest GPU node, and attempt {attempts} asks for less")
    sizes = (int(largest * share) for share in SHARES)
    bound = next((size for size in sizes if would_accept(doctor, f"--mem={size}").ok), int(largest * SHARES[-1]))
    first = most_asked(requests.training_memory)
    return Finding(
        "warn" if first <= bound else "fail",
        f"attempt {attempts} of the largest training asks for {most // 1000} GB, the first for {first // 1000}, and "
        f"the largest GPU node has {largest // 1000}: SLURM would refuse it",
        f"export SDFT_SLURM_MAX_MEMORY={bound}",
    )


@check("slurm", "preemption and lost nodes")
def requeue(doctor: Doctor) -> Finding:
    found = settings(doctor)
    answer = would_accept(doctor, "--requeue")
    if not answer.ok:
        doctor.propose("slurm-requeue", False)
        doctor.propose("slurm-no-requeue", True)
        return Finding(
            "warn", f"--requeue is refused ({answer.err}); a retry takes its place", "see the proposed lines"
        )
    wait = f"SIGKILL comes {found.get('KillWait', 'unknown')} after SIGTERM"
    return Finding("ok", f"--requeue is accepted; PreemptMode {found.get('PreemptMode', 'unknown')}; {wait}")


@check("slurm", "one job: shared folder and locks, clock, Python, GPU, sandbox, network")
def probe(doctor: Doctor) -> Iterator[Finding]:
    """Submits a job with the request of a training, which answers through files in this directory."""
    if doctor.probe_seconds <= 0:
        yield Finding("skip", "not asked for (--probe-seconds 0)")
        return
    Path("results").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="doctor-", dir="results") as name:
        folder = Path(name).resolve()
        (folder / "question").write_text("visible")
        with open(folder / "lock", "w") as held:
            try:
                try_lock(held, folder / "lock")
            except SdftError as error:
                yield Finding("fail", str(error))
                return
            yield from _submit(doctor, folder)


def _submit(doctor: Doctor, folder: Path) -> Iterator[Finding]:
    """Submit the job while this machine holds the lock, and judge its answer."""
    here, python = shlex.quote(str(folder)), shlex.quote(sys.executable)
    lock = f'import fcntl; fcntl.flock(open("{folder}/lock", "r+"), fcntl.LOCK_EX | fcntl.LOCK_NB)'
    script = (
        f"cd {shlex.quote(os.getcwd())} || exit 3\n"
        f"cat {here}/question > {here}/seen 2>&1\n"
        f"{python} -c {shlex.quote(lock)} 2> /dev/null && touch {here}/free\n"
        f"{python} -c 'import snakemake, sdft' > {here}/python 2>&1 && echo ok > {here}/python\n"
        f"{python} {shlex.quote(str(ROOT / 'workflow_scripts/node.py'))} > {here}/node 2> {here}/node.log\n"
        f"srun -n1 env -u SLURM_CONF hostname > {here}/srun 2>&1\n"
        f'echo "$(hostname) $(date +%s.%N)" > {here}/part\n'
        f"mv {here}/part {here}/answer\n"
    )
    where = [
        f"{option}={os.environ[variable]}"
        for option, variable in (("--account", "SDFT_SLURM_ACCOUNT"), ("--partition", "SDFT_SLURM_PARTITION"))
        if os.environ.get(variable)
    ]
    request = ["--time=5", *gpu_job(doctor), "--job-name=doctor", f"--output={folder}/log", *where]
    submitted = doctor.run("sbatch", "--parsable", *request, "--wrap", script)
    if not submitted.ok:
        yield Finding("fail", f"sbatch refused a job: {submitted.err}", "set what the checks above ask for")
        return
    job = submitted.out.split(";")[0]
    yield from _judge(doctor, folder, job)
    doctor.run("scancel", job)


def gpu_job(doctor: Doctor) -> list[str]:
    """What a training of the paper's first arm asks sbatch for, with the lines that this site was proposed."""
    plan = Plan(load_config(ROOT / "config.yaml"), "paper")
    swept = [arm for arm in plan.arms if plan.candidates(plan.tasks[0], arm)]
    run = plan.candidates(plan.tasks[0], swept[-1])[0].id
    proposed = doctor.proposals.get("set-resources", {}).get("train", {})
    memory = proposed.get("mem_mb") or requests.training_memory(plan, run)
    kind = os.environ.get("SDFT_SLURM_GPU", "")
    gpus = f"--gres={proposed['gres'].strip(chr(39))}" if "gres" in proposed else f"--gpus={f'{kind}:' * bool(kind)}1"
    return [gpus, "--cpus-per-task=8", f"--mem={memory}"]


def node_findings(said: str, log: str) -> Iterator[Finding]:
    """What a job with a GPU found on its node (workflow_scripts/node.py)."""
    try:
        found = json.loads(said.splitlines()[-1])
    except (ValueError, IndexError):
        yield Finding("fail", f"the job could not look at its node: {log[-300:] or 'it said nothing'}", "mend that")
        return
    if found["gpus"]:
        name, gib = found["gpus"][0]
        yield Finding("ok", f"torch computes on {name} with {gib} GiB (driver {found['driver']}, CUDA {found['cuda']})")
        yield from card_findings(gib)
    else:
        yield Finding(
            "fail",
            f"the job asked for a GPU and torch can use none ({found['reason'] or 'no reason given'}); driver "
            f"{found['driver'] or 'not found'}, and torch is built for CUDA {found['cuda'] or '(none)'}",
            "CUDA 13 needs driver 580: install the same torch for an older one (README), or name another partition",
        )
    if not found["sandbox"]:
        yield Finding(
            "fail",
            "there is no sandbox for HumanEval's programs on the node",
            "have user namespaces allowed there, or set prior.generated_code: bare",
        )
    if not found["network"]:
        yield Finding("ok", "the node has no network, and jobs need none: downloads are made on this machine")


def card_findings(gib: float) -> Iterator[Finding]:
    """Whether the runs of Table 5 fit a card."""
    plan = Plan(load_config(ROOT / "config.yaml"), "paper")
    for arm in plan.arms:
        run = (plan.candidates(plan.tasks[0], arm) or plan.finals("table5", plan.tasks[0], arm))[0]
        size, gpus = model_size(plan, run.base), max(1, plan.scale.training_gpus(run.base))
        said = verdict(run.method, run.settings, size, gib, gpus) if size else "fits"
        if said != "fits":
            yield Finding(
                "fail", f"{arm} of {run.base} does not fit {gib} GiB: it {said}", "set that, or SDFT_SLURM_GPU"
            )


def _judge(doctor: Doctor, folder: Path, job: str) -> Iterator[Finding]:
    started = time.time()
    ended = None
    while not (folder / "answer").exists():
        state = doctor.run("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T").out
        now = time.time()
        if ended is None and state not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING"):
            ended = now
        if ended is not None and now - ended > 60:
            log = (folder / "log").read_text()[-200:] if (folder / "log").exists() else "no log"
            yield Finding(
                "fail",
                f"job {job} ended as {state or 'forgotten'} and left no file here within 60 s ({log})",
                "work in a folder that the compute nodes share with this machine (same path)",
            )
            return
        if ended is None and now - started > doctor.probe_seconds:
            yield Finding(
                "skip",
                f"job {job} did not run within {doctor.probe_seconds:g} s (state {state})",
                "repeat with a larger --probe-seconds when the queue is shorter",
            )
            return
        time.sleep(0.5)
    host, clock = (folder / "answer").read_text().split()
    lag = time.time() - float(clock)
    if abs(lag) > 60:
        yield Finding("warn", f"{host} wrote its file {lag:.0f} s ago by its own clock", "clocks differ; ask for NTP")
    else:
        yield Finding("ok", f"{host} sees this folder, and its file was here {max(lag, 0):.1f} s after it was written")
    if lag > 30:
        doctor.propose("latency-wait", int(4 * lag))
    if (folder / "free").exists():
        yield Finding(
            "fail",
            f"locks are not shared between nodes: {host} gets a lock that this machine holds, so that two copies of a "
            "job could write the same files",
            "have the file system mounted with shared locks (on Lustre flock instead of localflock, on NFS without "
            "nolock or local_lock), or work on another one",
        )
    if (folder / "seen").read_text() != "visible":
        yield Finding("fail", f"{host} does not see a file written here", "work in a folder shared with the nodes")
    said = (folder / "python").read_text().strip()
    if said.splitlines()[-1:] != ["ok"]:
        yield Finding(
            "fail", f"this Python does not work on {host}: {said[-200:]}", f"install {sys.prefix} where nodes see it"
        )
    yield from node_findings((folder / "node").read_text(), (folder / "node.log").read_text())
    if not (folder / "srun").read_text().strip() or "error" in (folder / "srun").read_text():
        said = " ".join((folder / "srun").read_text().split())[:200]
        yield Finding(
            "fail", f"srun does not work inside a job without SLURM_CONF: {said}", "see the note on SLURM_CONF"
        )


def slurm_profile(path: Path) -> dict[str, Any]:
    """The shipped profile with its Python evaluated."""
    import yte

    return yte.process_yaml(path.read_text(encoding="utf-8"))
