"""A step's command handed to a warm parent: a process that has the large libraries already and forks a child for it.

Starting Python with torch, transformers and lm_eval takes longer than many steps of the miniature. While Snakemake
works, workflow_scripts/warm.py waits at the socket that SDFT_WARM names. `import sdft` asks it there; whatever keeps
it from serving, the command runs in its own process as it would without.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent
# Steps that need the libraries of models, numbers or drawings.
SERVED = ("sdft.train", "sdft.evaluate", "sdft.learning", "sdft.pages")
# Libraries read such variables when they are imported, so parent and command must agree on them.
READ_AT_IMPORT = (
    *("ATEN_", "CUDA_", "DNNL_", "GOMP_", "HF_", "KMP_", "LD_", "LM_", "MKL_", "MPL", "NUMEXPR_", "ONEDNN_", "OMP_"),
    *("OPENBLAS_", "PYTHON", "PYTORCH_", "TOKENIZERS_", "TORCH", "TRANSFORMERS_", "XDG_"),
)
# The child sets its number of threads itself.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "OPENBLAS_NUM_THREADS")
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
HEADER = struct.Struct("!Q")


def stamp() -> str:
    """Digest of what is served: the interpreter, its libraries, and every file of the package by size and time."""
    # Snakemake's first line may name the interpreter python3 where a step is started as python.
    seen = [os.path.realpath(sys.executable), sys.version, os.path.realpath(sys.prefix), str(PACKAGE)]
    for folder, folders, files in os.walk(PACKAGE):
        folders[:] = sorted(set(folders) - {"__pycache__"})
        for name in sorted(files):
            found = os.stat(os.path.join(folder, name))
            seen.append(f"{folder}/{name} {found.st_size} {found.st_mtime_ns}")
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()


def import_variables(environment: Any) -> dict[str, str]:
    """The environment variables on which a parent and a command must agree."""
    return {
        name: value for name, value in environment.items() if name.startswith(READ_AT_IMPORT) and name not in THREADS
    }


def send(connection: socket.socket, content: Any, descriptors: tuple[int, ...] = ()) -> None:
    """Send one JSON value, with open files."""
    text = json.dumps(content).encode()
    socket.send_fds(connection, [HEADER.pack(len(text))], list(descriptors))
    connection.sendall(text)


def receive(connection: socket.socket) -> tuple[Any, list[int]]:
    """One JSON value with open files; None where the other side is gone."""
    start, descriptors, _, _ = socket.recv_fds(connection, HEADER.size, 3)
    start += _read(connection, HEADER.size - len(start)) if start else b""
    text = _read(connection, HEADER.unpack(start)[0]) if len(start) == HEADER.size else b""
    return (json.loads(text) if text else None), descriptors


def _read(connection: socket.socket, size: int) -> bytes:
    parts = []
    while size and (part := connection.recv(min(size, 1 << 20))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts) if not size else b""


def hand_over() -> None:
    """Run the command of this process in the warm parent and exit as it does; returns where it has to run here."""
    command = sys.orig_argv[1:]
    if len(command) < 2 or command[0] != "-m" or not served(command[1]) or "WORLD_SIZE" in os.environ:
        return
    path = os.environ.pop("SDFT_WARM")
    # A signal that comes before the child is known waits until it is.
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    try:
        status = _asked(path, command[1], command[2:])
    except OSError:
        status = None
    if status is not None:
        os._exit(status)
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)


def served(module: str) -> bool:
    """Whether a module is a step that a warm parent runs."""
    return any(module == name or module.startswith(f"{name}.") for name in SERVED)


def _asked(path: str, module: str, arguments: list[str]) -> int | None:
    """The exit status that the parent reports of its child; None where it refuses, or dies."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        request = {
            "module": module,
            "arguments": arguments,
            "folder": os.getcwd(),
            "environment": dict(os.environ),
            "stamp": stamp(),
        }
        send(connection, request, (0, 1, 2))
        answer, _ = receive(connection)
        child = (answer or {}).get("child")
        if child is None:
            return None
        _pass_on_signals(child, connection)
        answer, _ = receive(connection)
        if answer is None:
            _pass_on(child, signal.SIGKILL)
            return None
        return answer["status"]


def _pass_on_signals(child: int, connection: socket.socket) -> None:
    """Until the parent says something, send the child what this process gets.

    What would end this process is for the child to decide about: a training saves a checkpoint first. A signal is read
    from a pipe, since one that came just before a wait began would run no Python handler until that wait is over.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    for number in PASSED_ON:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    while read in select.select([read, connection], [], [])[0]:
        for number in os.read(read, 64):
            _pass_on(child, number)
    signal.set_wakeup_fd(-1)


def _pass_on(child: int, number: int) -> None:
    try:
        os.kill(child, number)
    except ProcessLookupError:
        return
