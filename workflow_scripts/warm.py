"""The warm parent of a run of Snakemake on this machine: it imports the large libraries once and forks for each step.

`sdft/common/warm.py` is the other side. A child is the same program with the same arguments, folder, environment and
open files as a process of its own would be; the parent itself computes nothing and starts no threads. It ends with the
Snakemake that started it, and refuses a command of another checkout, or of files that have changed since its start.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sdft.common.warm import THREADS, import_variables, receive, send, served, stamp

if TYPE_CHECKING:
    from sdft.study.plan import Plan

# A training that is told to stop saves a checkpoint; what takes longer is killed.
PATIENCE_SECONDS = 100
# A run that makes fewer outputs is over before a parent would help.
FEWEST_OUTPUTS = 20


def start_for(plan: Plan, outputs: Collection[str]) -> subprocess.Popen | None:
    """Start a warm parent for a run that makes these outputs, where it has steps enough to be worth its start."""
    worth = len(outputs) >= FEWEST_OUTPUTS
    return start(offline=plan.prior_config()["data_dir"] is not None) if worth else None


def start(offline: bool) -> subprocess.Popen | None:
    """Start a warm parent of this process, and let the steps that it starts find it; None where that is not possible.

    A GPU is none for a fork: a library may have touched it while it was imported. SDFT_WARM= switches the parent off.
    offline: the steps look for no model or data on a network.
    """
    if not hasattr(os, "pidfd_open") or "SDFT_WARM" in os.environ or Path("/dev/nvidiactl").exists():
        return None
    try:
        folder = tempfile.mkdtemp(prefix="sdft-")
    except OSError:
        # No room for a socket: each step imports for itself.
        return None
    path = os.path.join(folder, "warm")
    command = [sys.executable, __file__, "--socket", path, "--parent", str(os.getpid())]
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    process = subprocess.Popen(
        [*command, *(["--offline"] if offline else [])],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.environ["SDFT_WARM"] = path
    atexit.register(stop, process)
    return process


def stop(process: subprocess.Popen) -> None:
    """End a warm parent that `start` has started."""
    os.environ.pop("SDFT_WARM", None)
    process.terminate()


class Parent:
    """Takes requests at a socket until the process `above` ends, or SIGTERM."""

    def __init__(self, path: str, above: int) -> None:
        self.stamp, self.variables = stamp(), import_variables(os.environ)
        self.path, self.stopping = path, False
        # By the child's process descriptor: its number and the connection of who asked.
        self.children: dict[int, tuple[int, socket.socket]] = {}
        self.selector = selectors.DefaultSelector()
        self.selector.register(os.pidfd_open(above), selectors.EVENT_READ, self.stop)

    def serve(self) -> None:
        """Answer requests. What was imported is what the stamp says, or nothing is served."""
        if stamp() != self.stamp or threading.active_count() > 1:
            return
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self.selector.register(self.listener, selectors.EVENT_READ, self.take)
        woken, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker)
        self.selector.register(woken, selectors.EVENT_READ, self.stop)
        signal.signal(signal.SIGTERM, lambda *_: None)
        gc.collect()
        gc.freeze()
        while not self.stopping or self.children:
            ready = self.selector.select(PATIENCE_SECONDS if self.stopping else None)
            for key, _ in ready:
                key.data(key.fd)
            if self.stopping and not ready:
                self.tell(signal.SIGKILL)

    def stop(self, descriptor: int) -> None:
        """Take no more requests, and ask the children to end."""
        self.selector.unregister(descriptor)
        if not self.stopping:
            self.stopping = True
            self.selector.unregister(self.listener)
            self.listener.close()
            self.tell(signal.SIGTERM)

    def tell(self, number: int) -> None:
        for child, _ in self.children.values():
            os.kill(child, number)

    def take(self, _: int) -> None:
        """Start the child of one request, or refuse it."""
        connection, _ = self.listener.accept()
        descriptors: list[int] = []
        try:
            connection.settimeout(5)
            request, descriptors = receive(connection)
            if request is None or not self.allows(request) or len(descriptors) != 3:
                send(connection, {"child": None})
                connection.close()
                return
            prepare(request)
            child = os.fork()
            if child == 0:
                run(request, descriptors)
            send(connection, {"child": child})
        except (OSError, ValueError):
            connection.close()
            return
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        watched = os.pidfd_open(child)
        self.children[watched] = child, connection
        self.selector.register(watched, selectors.EVENT_READ, self.reap)
        self.selector.register(connection, selectors.EVENT_READ, lambda _: self.left(watched))

    def allows(self, request: dict[str, Any]) -> bool:
        return (
            request["stamp"] == self.stamp
            and served(request["module"])
            and import_variables(request["environment"]) == self.variables
        )

    def left(self, watched: int) -> None:
        """Who asked is gone, so the child is to end."""
        child, connection = self.children[watched]
        self.selector.unregister(connection)
        os.kill(child, signal.SIGTERM)

    def reap(self, watched: int) -> None:
        """Report a child's exit status: 128 + the signal that ended it, as a shell has it."""
        child, connection = self.children.pop(watched)
        self.selector.unregister(watched)
        os.close(watched)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        try:
            self.selector.unregister(connection)
            send(connection, {"status": status if status >= 0 else 128 - status})
        except (OSError, KeyError):
            pass
        connection.close()


def prepare(request: dict[str, Any]) -> None:
    """Do once what every child of this kind would do: build lm_eval's tasks over the benchmarks' data."""
    if "--spec" not in request["arguments"]:
        return
    from sdft.common.errors import SdftError
    from sdft.evaluate.prior import build, prior_config

    os.chdir(request["folder"])
    with contextlib.suppress(SdftError, LookupError, TypeError, ValueError):
        spec = request["arguments"][request["arguments"].index("--spec") + 1]
        build(prior_config(json.loads(spec)["prior_config"], Path(".")))


def run(request: dict[str, Any], descriptors: list[int]) -> None:
    """In the child: be the process that was asked for. Never returns."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for place, descriptor in enumerate(descriptors):
            os.dup2(descriptor, place)
        os.closerange(3, 1 << 12)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.path[0] = request["folder"]
        sys.orig_argv = [sys.executable, "-m", request["module"], *request["arguments"]]
        sys.argv = [request["module"], *request["arguments"]]
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
        # The parent has imported the module; here it runs anew.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            threading._shutdown()
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def preload(offline: bool) -> None:
    """Import what the steps import."""
    from sdft.common.imports import quick_imports
    from sdft.evaluate import set_environment

    set_environment(local=offline)
    with quick_imports():
        import lm_eval.evaluator
        import lm_eval.models.huggingface  # noqa: F401
        import transformers.models.llama.modeling_llama
        import transformers.models.qwen2.modeling_qwen2  # noqa: F401

        import sdft.evaluate.__main__
        import sdft.evaluate.passk
        import sdft.learning.candidate
        import sdft.learning.loop
        import sdft.pages.figures
        import sdft.pages.tables
        import sdft.train  # noqa: F401
        from sdft.study.exhibits import names

        for kind in ("table", "figure"):
            for name in names(kind):
                importlib.import_module(f"sdft.pages.{kind}s.{name}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python workflow_scripts/warm.py", description=__doc__.split("\n\n")[0])
    parser.add_argument("--socket", required=True, help="where to listen")
    parser.add_argument("--parent", type=int, required=True, help="the process with which this one ends")
    parser.add_argument("--offline", action="store_true", help="the steps look for nothing on a network")
    options = parser.parse_args()
    # The folder of this script is no place to import from.
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
    parent = Parent(options.socket, options.parent)
    try:
        preload(options.offline)
        parent.serve()
    finally:
        for remove, path in ((os.unlink, options.socket), (os.rmdir, os.path.dirname(options.socket))):
            try:
                remove(path)
            except OSError:
                continue


if __name__ == "__main__":
    main()
