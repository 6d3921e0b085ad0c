"""Run small programs that a model wrote, away from this process.

One helper process serves all programs; it forks for each, and the fork has little time, little memory, no files and
no built-in functions. Started with `python -I -S`, it sees neither the environment's packages nor user settings.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
from functools import cache
from typing import Any

SECONDS = 2
MEMORY = 256 * 2**20

_SERVER = r"""
import json, os, resource, signal, sys
SECONDS, MEMORY = int(sys.argv[1]), int(sys.argv[2])

def compute(job, out):
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    space = {"__builtins__": {}}
    exec("def f(" + job["argument"] + "):\n    " + job["body"], space)
    values = [space["f"](value) for value in job["inputs"]]
    os.write(out, json.dumps(values).encode()[:65536])

for line in sys.stdin:
    inside, outside = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(inside)
            compute(json.loads(line), outside)
        except BaseException:
            pass
        os._exit(0)
    os.close(outside)
    with os.fdopen(inside, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    print(text.decode() or "null", flush=True)
"""


@cache
def _server() -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _SERVER, str(SECONDS), str(MEMORY)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    atexit.register(process.kill)
    return process


def outputs(body: str, argument: str, inputs: list[Any]) -> list[Any] | None:
    """What a function of one argument with this body returns for each input; None if it fails or takes too long."""
    server = _server()
    server.stdin.write(json.dumps({"body": body, "argument": argument, "inputs": inputs}) + "\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline() or "null")
