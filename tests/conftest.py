"""What every test shares: one thread a process, no network, groups of tests, and the folder of real data."""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Modules are compiled once and not by each process that a test starts, whatever the machine's habit.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest

sys.dont_write_bytecode = False
ROOT = Path(__file__).parent.parent
# Groups and files that take longest, dearest first. They start first, so that no process works alone at the end.
FIRST = (
    "house",
    "cluster",
    "smoke",
    "tests/miniature/test_released.py",
    "tests/learning/test_sharding.py",
    "tests/workflow/test_dag.py",
    "tests/house/test_interrupted.py",
    "tests/evidence/test_figures.py",
    "base",
    "tests/learning/test_training.py",
    "tests/test_scales.py",
    "tests/learning/test_step_benchmark.py",
    "tests/learning/test_interruptions.py",
    "compare",
    "tests/workflow/test_partial.py",
    "tests/evaluate/test_served_model.py",
    "tests/evidence/test_report.py",
    "tests/evidence/test_studies.py",
    "tests/learning/test_methods.py",
    "tests/decoding/test_decoding.py",
    "tests/evidence/test_tables.py",
)


def pytest_configure(config):
    """pytest-xdist is to start groups in the order that they have here, not in that of their numbers of tests.

    A command in the background of a shell ignores Ctrl-C, and so would all that a test starts and interrupts.
    What is imported meanwhile stays, so the garbage collector does not look at it.
    """
    gc.disable()
    config.option.loadscopereorder = False
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """The tests of a file run in one process, which makes its fixtures once, unless they name a group themselves."""
    places = {name: number for number, name in enumerate(FIRST)}

    def place(item):
        group = item.get_closest_marker("xdist_group")
        if group is None:
            group = pytest.mark.xdist_group(item.nodeid.split("::")[0])
            item.add_marker(group)
        return places.get(group.args[0], len(places))

    items.sort(key=place)


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def no_task_outlives_its_test():
    """A command that defines a task is a process of its own; called within a test, it leaves none for the next."""
    from sdft import tasks

    before = dict(tasks.DEFINED)
    yield
    if before != tasks.DEFINED:
        tasks.DEFINED.clear()
        tasks.DEFINED.update(before)
        for known in (tasks.task_names, tasks.find_task, tasks.results):
            known.cache_clear()


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


def processor_seconds(command, folder):
    """A finished command, and the processor time that it and its children took, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture
def against_its_start(root):
    """Runs Snakemake; returns what it said, and its processor time as a multiple of what Snakemake's start alone takes.

    Seconds would judge the machine, and other tests may run beside this one.
    """

    def run(*arguments):
        command = [sys.executable, "-m", "snakemake"]
        done, seconds = processor_seconds([*command, *arguments], root)
        _, start = processor_seconds([*command, "--version"], root)
        return done, seconds / start

    return run


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real test sets and tokenizers that SDFT_REAL_DATA names; the test is skipped without it."""
    folder = os.environ.get("SDFT_REAL_DATA")
    if not folder:
        pytest.skip("SDFT_REAL_DATA does not name a folder with the real data files")
    return Path(folder)


class Server(ThreadingHTTPServer):
    """An OpenAI-compatible endpoint that answers as `script` says: (status, text) for the n-th request.

    Bytes in the place of the text are sent as they are, as what `kind` says they are.
    """

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.requests, self.kind = script, [], "application/json"
        self.lock = threading.Lock()
        self.address = f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.requests)
            self.server.requests.append(body)
        status, text = self.server.script(number, body)
        if isinstance(text, bytes):
            answer = None
        elif status == 200:
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            answer = {"id": "x", "object": "chat.completion", "created": 0, "model": body["model"], "choices": [choice]}
        else:
            answer = {"error": {"message": text, "type": "x", "code": None}}
        content = text if isinstance(text, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint_server():
    """Starts servers of the API; `requests` of a server are the bodies it was sent."""
    servers = []

    def start(script):
        server = Server(script)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
