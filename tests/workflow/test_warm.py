"""The warm parent runs a step as a process of its own would, and nothing that it should not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sdft.common.files import PACKAGE

# A step that says how it was started, and waits where it is told to.
PROBE = """
import os, sys, time
try:
    print("parent", os.getppid(), os.getcwd(), sys.argv[1:], os.environ.get("COLOUR"), flush=True)
    print("said to stderr", file=sys.stderr, flush=True)
    if "wait" in sys.argv:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            time.sleep(0.05)
except KeyboardInterrupt:
    sys.exit(5)
sys.exit(7)
"""
SERVE = "import os, sys; from workflow_scripts.warm import Parent; Parent(sys.argv[1], int(sys.argv[2])).serve()"


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A package with the parent's two sides and one step."""
    for name in ("__init__.py", "common/__init__.py", "common/warm.py", "learning/__init__.py"):
        (tmp_path / "sdft" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE / name, tmp_path / "sdft" / name)
    (tmp_path / "sdft/learning/probe.py").write_text(PROBE)
    (tmp_path / "workflow_scripts").mkdir()
    shutil.copy(PACKAGE.parent / "workflow_scripts/warm.py", tmp_path / "workflow_scripts")
    return tmp_path


@pytest.fixture
def above():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def parent(checkout, above):
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(checkout / "socket"), str(above.pid)], cwd=checkout)
    until(lambda: (checkout / "socket").exists())
    yield process
    process.kill()
    process.wait()


def until(happened):
    end = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def start(checkout, *arguments, python=sys.executable, **environment):
    return subprocess.Popen(
        [python, "-m", "sdft.learning.probe", *arguments],
        cwd=checkout,
        env=os.environ | {"SDFT_WARM": str(checkout / "socket")} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def who(process) -> int:
    """The parent of the process that runs the step."""
    return int(process.stdout.readline().split()[1])


def test_a_step_runs_in_the_parent_as_in_a_process_of_its_own(checkout, parent):
    found = []
    for warm in (str(checkout / "socket"), ""):
        process = start(checkout, "--given", "a b", SDFT_WARM=warm, COLOUR="red")
        out, err = process.communicate()
        found.append([out.split(" ", 2)[2], err, process.returncode])
        assert (int(out.split()[1]) == parent.pid) == bool(warm)
    assert found[0] == found[1] == [f"{checkout} ['--given', 'a b'] red\n", "said to stderr\n", 7]


@pytest.mark.parametrize("name", ["python", "python3", f"python3.{sys.version_info.minor}"])
def test_every_name_of_the_interpreter_is_served(checkout, parent, name):
    process = start(checkout, python=str(Path(sys.executable).with_name(name)))
    assert who(process) == parent.pid
    process.communicate()


def test_changed_code_is_not_served(checkout, parent):
    (checkout / "sdft/common/more.py").write_text("")
    process = start(checkout)
    assert who(process) == os.getpid()
    process.communicate()


def test_another_checkout_is_not_served(checkout, parent):
    other = checkout / "other"
    shutil.copytree(checkout / "sdft", other / "sdft")
    process = start(other, SDFT_WARM=str(checkout / "socket"))
    assert who(process) == os.getpid()
    process.communicate()


def test_a_variable_that_libraries_read_at_import_has_to_agree(checkout, parent):
    for name, served in {"MKL_CBWR": False, "OMP_NUM_THREADS": True, "COLOUR": True}.items():
        process = start(checkout, **{name: "3"})
        assert (who(process) == parent.pid) == served
        process.communicate()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 5)])
def test_a_signal_reaches_the_step(checkout, parent, number, status):
    process = start(checkout, "wait")
    assert who(process) == parent.pid
    process.send_signal(number)
    process.communicate()
    assert process.returncode == status


def test_a_step_ends_with_who_asked_for_it(checkout, parent):
    process = start(checkout, "wait")
    assert who(process) == parent.pid
    process.kill()
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    until(lambda: not children.read_text())


def test_the_parent_ends_with_the_process_above_it_and_its_steps_too(checkout, above, parent):
    process = start(checkout, "wait")
    assert who(process) == parent.pid
    above.kill()
    process.communicate()
    assert process.returncode == 143
    assert parent.wait(20) == 0


def test_without_a_parent_a_step_runs_by_itself(checkout):
    process = start(checkout)
    assert who(process) == os.getpid()
    process.communicate()
    assert process.returncode == 7
