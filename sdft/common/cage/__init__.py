"""A cage for programs that a model wrote: run with their tests where they can do no harm, and judged from outside.

`run` is all that others need. docs/generated-programs.md says what the cage stops and what it does not.

A cage is a process (`warden`) in namespaces of its own; it takes one program after the other. What fails before a
program began, or kills it from outside, is an error of the cage (`CageError`) and never the program's.
"""

from __future__ import annotations

import atexit
import errno
import json
import os
import select
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from sdft.common.cage import warden
from sdft.common.cage.values import unpack
from sdft.common.errors import SdftError, did_you_mean
from sdft.common.files import ROOT

MODES = ("sandbox", "bare")
# Seconds of processor time, the wall-clock limit of code_eval; MiB of address space and of the memory-backed /tmp.
SECONDS, MEMORY, DISK = 3.0, 2048, 16
NAMESPACES = ("--user", "--map-root-user", "--net", "--ipc", "--uts", "--mount", "--pid", "--fork", "--kill-child")
START = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from {warden.__name__} import main; del sys.path[0]; main()"
# Seconds in which a cage must have been set up.
SETUP_SECONDS = 60
REMEDY = (
    "Nothing was counted as the model's failure. Programs need Linux with user namespaces: allow them "
    "(sysctl kernel.unprivileged_userns_clone=1 or user.max_user_namespaces=10000, on Ubuntu "
    "kernel.apparmor_restrict_unprivileged_userns=0, in a container its seccomp profile), leave them enough memory and "
    "processes, and run the same command again; or set prior.generated_code: bare where this machine may be risked."
)


class CageError(SdftError):
    """The cage, and not a program in it, has failed."""


@dataclass(frozen=True)
class Outcome:
    """What became of a program: "passed", "timed out", or "failed: " and why; and `value` of its tests, plain data."""

    verdict: str
    value: Any = None

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"


class Cage:
    """One running cage. Raises CageError when it cannot be had, saying why."""

    def __init__(self, mode: str) -> None:
        self.mode, self.owner = mode, os.getpid()
        self.folder: tempfile.TemporaryDirectory | None = None
        self.process: subprocess.Popen | None = None
        self.errors: int | None = None
        try:
            answer = self._start()
        except (OSError, ValueError) as error:
            answer = {"broken": str(error)}
        if "ready" not in answer:
            self.close()
            raise CageError(f"the cage for generated programs cannot be had: {answer['broken']}. {REMEDY}")

    def _start(self) -> dict[str, Any]:
        """Start the warden; its first line. Raises OSError where that cannot be done."""
        if sys.platform != "linux":
            raise OSError(f"this is {sys.platform}, and no Linux")
        if self.mode == "bare":
            self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        visible = {os.path.realpath(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
        settings = {"mode": self.mode, "disk": DISK, "packages": sorted(visible)}
        settings["visible"] = sorted(visible | {os.path.realpath(sys.base_prefix)})
        interpreter = getattr(sys, "_base_executable", None) or sys.executable
        command = [interpreter, "-I", "-S", "-B", "-c", START, json.dumps(settings)]
        kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
        # In memory, so that a full disk is no trouble.
        self.errors = os.memfd_create("errors")
        self.process = subprocess.Popen(
            ["unshare", *NAMESPACES, *command] if self.mode == "sandbox" else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            cwd=self.folder.name if self.folder else "/",
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **kept},
            start_new_session=True,
            bufsize=0,
        )
        return self._answer(SETUP_SECONDS)

    def run(self, program: str, tests: str, seconds: float, memory: int) -> Outcome:
        """See the function `run`."""
        texts = [text.encode(errors="surrogatepass") for text in (program, tests)]
        job = {"program": len(texts[0]), "tests": len(texts[1]), "seconds": seconds, "memory": memory}
        try:
            sent = memoryview(json.dumps(job).encode() + b"\n" + b"".join(texts))
            while sent:
                sent = sent[self.process.stdin.write(sent) :]
            answer = self._answer(SETUP_SECONDS + warden.PATIENCE * seconds)
            if answer.get("outcome", "passed") != "passed":
                self._check_folder()
        except (OSError, ValueError) as error:
            answer = {"broken": str(error)}
        if "outcome" not in answer:
            raise CageError(f"the cage for generated programs has failed: {answer['broken']}. {REMEDY}")
        return Outcome(answer["outcome"], unpack(answer.get("value")))

    def _check_folder(self) -> None:
        """Raise OSError where a program in the mode "bare" may have failed for want of room, or of its folder."""
        if self.folder is None:
            return
        found = os.statvfs(self.folder.name)
        if found.f_bavail * found.f_frsize < DISK << 20 or (found.f_files and not found.f_favail):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.folder.name)

    def _answer(self, seconds: float) -> dict[str, Any]:
        """The warden's next line. Raises OSError when none comes."""
        text, waiting = b"", select.poll()
        waiting.register(self.process.stdout, select.POLLIN)
        while not text.endswith(b"\n"):
            if not waiting.poll(1000 * seconds):
                raise OSError("it does not answer")
            read = os.read(self.process.stdout.fileno(), 1 << 16)
            if not read:
                said = " ".join(os.pread(self.errors, 1 << 20, 0).decode(errors="replace").split())[-500:]
                raise OSError(said or "it was killed")
            text += read
        return json.loads(text)

    def close(self) -> None:
        """End the cage and all that is in it."""
        if self.process is not None and self.owner == os.getpid():
            with suppress(OSError):
                self.process.stdin.close()
            # Of the sandbox this is `unshare`, whose child, and with it everything inside, the kernel then kills.
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
        if self.errors is not None:
            os.close(self.errors)
        if self.folder is not None:
            self.folder.cleanup()


_idle: list[Cage] = []


@atexit.register
def _close_all() -> None:
    while _idle:
        _idle.pop().close()


@contextmanager
def _cage(mode: str) -> Iterator[Cage]:
    """A cage that nobody else uses meanwhile; one that has failed is not used again."""
    mine = [cage for cage in _idle if cage.mode == mode and cage.owner == os.getpid()]
    cage = mine[0] if mine else Cage(mode)
    with suppress(ValueError):
        _idle.remove(cage)
    try:
        yield cage
    except BaseException:
        cage.close()
        raise
    _idle.append(cage)


def run(
    program: str, tests: str = "", *, mode: str = "sandbox", seconds: float = SECONDS, memory: int = MEMORY
) -> Outcome:
    """Run a Python program, then its tests, in which the program's functions have their names.

    mode "sandbox": without network, privileges, other processes, threads or the machine's files; "bare": with the
    machine's files and processes in sight. seconds: of processor time; five times as long may pass. memory: of the
    program, in MiB. What the tests leave under the name `value` is handed on. Raises CageError when the cage cannot be
    had or fails twice, SdftError for an unknown mode.
    """
    check_mode(mode)
    # Text that is no text passes nothing, and cannot be sent.
    if not (program + tests).isascii():
        try:
            (program + tests).encode()
        except UnicodeEncodeError as error:
            return Outcome(f"failed: {error}")
    try:
        with _cage(mode) as cage:
            return cage.run(program, tests, seconds, memory)
    except CageError:
        with _cage(mode) as cage:
            return cage.run(program, tests, seconds, memory)


def check_mode(mode: str) -> None:
    """Raise SdftError for a mode that is none."""
    if mode not in MODES:
        raise SdftError(f"unknown mode {mode!r} for generated programs; {did_you_mean(mode, MODES)}")


@cache
def why_not(mode: str = "sandbox") -> str | None:
    """Why programs cannot be run in this mode on this machine, tried once; None where they can."""
    try:
        outcome = run("def f():\n    return 1", "assert f() == 1", mode=mode, seconds=20)
    except CageError as error:
        return str(error)
    return None if outcome.passed else f"a program that does nothing has {outcome.verdict}. {REMEDY}"
