"""Runs in the cage: for each program two processes, the program's and that of its tests, and judges how they end.

The tests never enter the memory of the program's process, and their verdict never passes through it: functions of the
program are called by messages, and what comes back is plain data (`values`). So a program can lie about its results but
cannot read the right ones, end the tests early, or be equal to everything.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sdft.common.cage import doors
from sdft.common.cage.program import said, serve
from sdft.common.cage.trial import Program, ProgramEnded, test
from sdft.common.cage.values import Messages, send

# Time that a program may take, as a multiple of its processor time: for one that sleeps, and for a busy machine.
PATIENCE = 5
# Signals that no program can send itself here.
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPWR)


def main() -> None:
    """Take jobs from stdin and answer on stdout until stdin ends: each a line of JSON, then program and tests."""
    settings = json.loads(sys.argv[1])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        doors.hide()
        if settings["mode"] == "sandbox":
            doors.minimal_root(settings["visible"], settings["disk"])
    except OSError as error:
        send(1, {"broken": str(error)})
        return
    send(1, {"ready": True})
    fresh = True
    while (job := _job()) is not None:
        try:
            if not fresh and settings["mode"] == "sandbox":
                doors.empty_tmp(settings["disk"])
            fresh = False
            answer = run(job, settings)
        except OSError as error:
            answer = {"broken": str(error)}
        send(1, answer)
        if "broken" in answer:
            return


def _job() -> dict[str, Any] | None:
    line = b""
    while not line.endswith(b"\n"):
        read = os.read(0, 1)
        if not read:
            return None
        line += read
    return json.loads(line)


def _exactly(size: int) -> str:
    """The next so many bytes of stdin, and none after them: those are for another process."""
    data = b""
    while len(data) < size:
        read = os.read(0, size - len(data))
        if not read:
            raise OSError("the job was cut off")
        data += read
    return data.decode()


def run(job: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Run one program with its tests. Raises OSError where the machine does not allow it."""
    program = _exactly(job["program"])
    (asked, asks), (answers, answered), (report, reported) = (os.pipe() for _ in range(3))
    processes: list[int] = []
    ends: dict[int, int] = {}
    try:
        processes.append(_process(lambda: _run_program(program, asked, answered, job, settings), {asked, answered}))
        kept = {0, answers, asks, reported}
        processes.append(_process(lambda: _run_tests(answers, asks, reported, job, settings), kept))
        for descriptor in (asked, asks, answers, answered, reported):
            os.close(descriptor)
        text, seconds, late = _wait(report, processes, job["seconds"])
        found = json.loads(text) if text else None
        if found and "ended" in found:
            _reap(processes[0], ends, 0.5)
        of_program = ends.get(processes[0])
    finally:
        _kill(processes, ends)
        os.close(report)
    return judge(found, late, seconds >= job["seconds"], of_program, ends[processes[1]])


def _reap(process: int, ends: dict[int, int], seconds: float) -> None:
    """Note how a process ended, if it does within so many seconds."""
    until = time.monotonic() + seconds
    while process not in ends:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            ends[process] = status
        elif time.monotonic() > until:
            return
        else:
            time.sleep(0.005)


def _kill(processes: list[int], ends: dict[int, int]) -> None:
    """End the processes of a program and, where this is the first process of a namespace, all there are."""
    for process in processes:
        if process not in ends:
            os.kill(process, signal.SIGKILL)
    if os.getpid() == 1:
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
    for process in processes:
        if process not in ends:
            ends[process] = os.waitpid(process, 0)[1]


def _wait(report: int, processes: list[int], allowed: float) -> tuple[bytes, float, bool]:
    """What the tests report, the processor time of both processes in seconds, and whether there was no end of it."""
    waiting = select.poll()
    waiting.register(report, select.POLLIN)
    # Nobody waits for an answer any more when the other end of stdin is closed.
    waiting.register(0, 0)
    text, waited, seconds, last = b"", 0.0, 0.0, time.monotonic()
    while True:
        events = dict(waiting.poll(50))
        if events.get(0):
            raise OSError("nobody waits for the answer")
        seconds = max(seconds, sum(map(_processor_time, processes)))
        if events.get(report):
            read = os.read(report, 1 << 16)
            text += read
            if not read or text.endswith(b"\n"):
                return text, seconds, False
        # Time in which this process was stopped too does not count.
        now = time.monotonic()
        waited, last = waited + min(now - last, 0.5), now
        if seconds >= allowed or waited >= PATIENCE * allowed:
            return b"", seconds, True


def _processor_time(process: int) -> float:
    """Seconds that a process has taken so far, 0 when it is gone."""
    try:
        return time.clock_gettime((~process << 3) | 2)
    except OSError:
        return 0.0


def judge(report: dict[str, Any] | None, late: bool, slow: bool, status: int | None, tests: int) -> dict[str, Any]:
    """What is said of a program: an outcome, or what is broken of the cage, which is no fault of the program.

    report: of the tests, None without one; late: whether they went on for too long; slow: whether the processor time is
    used up; status: how the program's process ended, None while it runs; tests: how that of the tests ended.
    """
    if late or (slow and report is None):
        return {"outcome": "timed out"}
    if report is None:
        return {"broken": f"the process of the tests ended ({_how(tests)})"}
    if "ended" not in report:
        return {"outcome": "timed out"} if slow and report.get("outcome") == "passed" else report
    if status is None:
        return {"outcome": "failed: it left its tests"}
    if slow:
        return {"outcome": "timed out"}
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in FROM_OUTSIDE:
        return {"broken": f"a program was killed from outside ({_how(status)})"}
    return {"outcome": f"failed: it ended the interpreter ({_how(status)})"}


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit status {os.WEXITSTATUS(status)}"


def _process(main: Callable[[], None], kept: set[int]) -> int:
    """Start a process that runs `main` with these descriptors and none other, and that ends with it."""
    process = os.fork()
    if process:
        return process
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            if number not in kept:
                os.dup2(nothing, number)
        for number in range(3, 64):
            if number not in kept:
                with suppress(OSError):
                    os.close(number)
        main()
    finally:
        os._exit(0)


def _shut(job: dict[str, Any], settings: dict[str, Any]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    if settings["mode"] == "sandbox":
        doors.drop_capabilities()
    doors.limit(job["memory"], settings["disk"], job["seconds"])
    doors.forbid_calls()


def _run_program(program: str, asked: int, answers: int, job: dict[str, Any], settings: dict[str, Any]) -> None:
    try:
        _shut(job, settings)
        sys.path += settings["packages"]
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[variable] = "1"
    except BaseException as error:
        send(answers, {"broken": str(error)})
        return
    send(answers, {"ready": True})
    serve(program, Messages(asked), answers)


def _run_tests(answers: int, asks: int, reported: int, job: dict[str, Any], settings: dict[str, Any]) -> None:
    try:
        tests = _exactly(job["tests"])
        os.dup2(2, 0)
        _shut(job, settings)
        report = test(tests, Program(Messages(answers), asks))
    except ProgramEnded:
        report = {"broken": "a program's process ended before it began"}
    except BaseException as error:
        report = {"broken": f"the tests could not be run ({said(error)})"}
    send(reported, report)
