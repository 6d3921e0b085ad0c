"""Running generated programs where they can do no harm: no network, a read-only file system, bounded resources.

lm_eval scores HumanEval with the metric `code_eval` of the evaluate library, which runs programs as the user.
`install` puts this module in its place, for every lm_eval task that asks for it; the programs and the verdict (the
tests pass within the time limit) stay the same.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError, did_you_mean
from sdft.common.imports import quick_imports

MODES = ("sandbox", "bare")
# Seconds of wall-clock, as in code_eval; MiB of address space and of the memory-backed /tmp; threads.
SECONDS, MEMORY, DISK, THREADS = 3.0, 2048, 16, 16
NAMESPACES = ("--user", "--map-root-user", "--net", "--ipc", "--uts", "--mount", "--pid", "--fork", "--kill-child")
RUNNER = Path(__file__).with_name("sandbox_runner.py")


def run_program(program: str, mode: str = "sandbox", seconds: float = SECONDS) -> str:
    """Run a Python program by itself: "passed" when it ran to its end, "timed out", or "failed: " and why.

    mode "sandbox": in namespaces of its own, without network, capabilities or a writable file system (but a small
    empty /tmp), with limits on time, memory and file size and without further processes; "bare": with those limits
    alone. A program that ends the interpreter itself has failed. Raises SdftError when the sandbox cannot be had.
    """
    check_available(mode)
    return _run(program, mode, seconds)


def check_available(mode: str) -> None:
    """Raise SdftError when programs cannot be run in this mode here."""
    if mode not in MODES:
        raise SdftError(f"unknown mode {mode!r} for generated programs; {did_you_mean(mode, MODES)}")
    if mode == "sandbox" and not available():
        raise SdftError(
            "generated programs (HumanEval) need a sandbox and this machine gives none: `unshare` with user namespaces "
            "is not there or not allowed. Allow user namespaces (kernel.unprivileged_userns_clone, the container's "
            "seccomp profile), or set prior.generated_code: bare in config.yaml where this machine may be risked."
        )


@cache
def available() -> bool:
    """Whether the sandbox works here, tried once with a program that does nothing."""
    return _run("pass", "sandbox", 20.0) == "passed"


def _run(program: str, mode: str, seconds: float) -> str:
    # What the program cannot guess says that it ran to its end.
    token = secrets.token_hex(16)
    limits = {"mode": mode, "seconds": seconds, "memory": MEMORY, "disk": DISK, "threads": THREADS}
    reader, writer = os.pipe()
    job = json.dumps({"program": program, "token": token, "report": writer, **limits})
    command = [getattr(sys, "_base_executable", sys.executable), "-I", "-S", "-c", RUNNER.read_text(encoding="utf-8")]
    if mode == "sandbox":
        command = ["unshare", *NAMESPACES, *command]
    try:
        with tempfile.TemporaryDirectory() as folder:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[writer],
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
                start_new_session=True,
            )
            try:
                # The runner has its own clock; this one is for programs that stop it.
                process.communicate(job.encode(), timeout=seconds + 10)
            except subprocess.TimeoutExpired:
                return "timed out"
            finally:
                _kill(process)
        os.set_blocking(reader, False)
        try:
            report = os.read(reader, 4096).decode(errors="replace")
        except BlockingIOError:
            report = ""
    except OSError as error:
        return f"failed: {error}"
    finally:
        os.close(reader)
        os.close(writer)
    if report == f"passed {token}":
        return "passed"
    return report if report.startswith(("timed out", "failed: ")) else "failed: it ended the interpreter"


def _kill(process: subprocess.Popen) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class CodeEval:
    """The `code_eval` metric with its programs in the sandbox."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def compute(
        self,
        references: Sequence[str],
        predictions: Sequence[Sequence[str]],
        k: Sequence[int] = (1, 10, 100),
        num_workers: int = 2,
        timeout: float = SECONDS,
    ) -> tuple[dict[str, float], dict[int, list[str]]]:
        """pass@k for each k that has enough samples, by the unbiased estimator, and each program's outcome.

        references: a program of tests for each problem; predictions: the candidate programs of each problem.
        """
        from sdft.statistics import pass_at_k

        check_available(self.mode)
        jobs = [
            (number, f"{candidate}\n{tests}")
            for number, (tests, candidates) in enumerate(zip(references, predictions, strict=True))
            for candidate in candidates
        ]
        with ThreadPoolExecutor(num_workers) as pool:
            found = list(pool.map(lambda job: (job[0], run_program(job[1], self.mode, timeout)), jobs))
        outcomes: dict[int, list[str]] = {number: [] for number in range(len(references))}
        for number, outcome in found:
            outcomes[number].append(outcome)
        counts = [(len(results), results.count("passed")) for results in outcomes.values()]
        return {
            f"pass@{size}": sum(pass_at_k(n, c, size) for n, c in counts) / len(counts)
            for size in k
            if counts and all(n >= size for n, _ in counts)
        }, outcomes


def install(mode: str) -> None:
    """Make `evaluate.load("code_eval")` give the sandboxed metric, also to tasks that lm_eval has loaded already."""
    with quick_imports():
        import evaluate

    original = getattr(evaluate.load, "original", evaluate.load)

    def load(path: str, *arguments: Any, **options: Any) -> Any:
        return CodeEval(mode) if path == "code_eval" else original(path, *arguments, **options)

    load.original = original
    evaluate.load = load
