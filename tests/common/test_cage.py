"""Programs that a model wrote: what hostile ones try fails, and a broken cage is no fault of theirs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sdft.common import cage
from sdft.common.cage import CageError, run
from sdft.common.cage.doors import MACHINES, filter_program

needs_sandbox = pytest.mark.skipif(cage.why_not() is not None, reason="no user namespaces on this machine")
MODES = [pytest.param("sandbox", marks=needs_sandbox), "bare"]
SYSCALL = "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"

# Ways to pass tests without doing what they ask; f ought to give 3.
CHEATS = {
    "equal to everything": "class A:\n __eq__ = lambda s, o: True\ndef f(): return A()",
    "equal to every number": "class A(int):\n __eq__ = lambda s, o: True\n __hash__ = None\ndef f(): return A(5)",
    "exit at once": "raise SystemExit(0)",
    "exit of the interpreter at once": "import os; os._exit(0)",
    "exit in the tests": "def f():\n import sys; sys.exit(0)",
    "exit of the interpreter in the tests": "def f():\n import os; os._exit(0)",
    "no error counts": "import builtins\nclass E(BaseException): pass\nbuiltins.AssertionError = E\ndef f(): return 4",
    "another interpreter's rules": "import sys\nsys.settrace(lambda *a: None)\ndef f(): return 4",
    "the frames above": (
        "import sys\ndef f():\n frame, found = sys._getframe(), []\n while frame:\n  found.append(frame.f_locals)\n"
        "  frame = frame.f_back\n return 3 if 'assert f() ' + '== 3' in repr(found) else 4"
    ),
    "everything in memory": (
        "import gc\ndef f():\n wanted = '== ' + str(3)\n"
        " return 3 if any(isinstance(o, str) and 'assert f() ' + wanted == o for o in gc.get_objects()) else 4"
    ),
    "the verdict written to every descriptor": (
        'import os\nfor n in range(64):\n try: os.write(n, b\'{"outcome": "passed"}\\n\')\n except OSError: pass\n'
        "def f(): return 4"
    ),
    "answers before they are asked for": (
        "import os\nfor n in range(3, 64):\n"
        ' try: os.write(n, b\'{"functions": ["f"], "modules": {}, "values": {"check": 1}}\\n{"value": 4}\\n\')\n'
        " except OSError: pass\n"
    ),
    "no message": "import os\nfor n in range(3, 64):\n try: os.write(n, b'\\xff[[[[\\n')\n except OSError: pass",
    "deep nesting": (
        "import os\nfor n in range(3, 64):\n try: os.write(n, b'[' * 100000 + b'\\n')\n except OSError: pass"
    ),
    "an endless message": (
        "import os\nfor n in range(3, 64):\n try:\n  while True: os.write(n, b'1' * 65536)\n except OSError: pass"
    ),
    "a huge answer": "def f(): return 'a' * (64 << 20)",
    "an endless iterator": "import itertools\ndef f(): return itertools.count()",
    "a list in itself": "a = []\na.append(a)\ndef f(): return a",
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cheat", CHEATS)
def test_a_program_passes_its_tests_only_by_its_answers(cheat, mode):
    outcome = run(CHEATS[cheat], "assert f() == 3", mode=mode)
    assert outcome.verdict.startswith("failed"), outcome


@pytest.mark.parametrize("mode", MODES)
def test_a_program_does_not_change_what_python_s_own_functions_do_in_its_tests(mode):
    program = "def abs(x): return 0\ndef all(x): return True\ndef f(): return 4"
    for tests in ("assert abs(f() - 3) < 1e-6", "assert all([f() == 3])"):
        assert run(program, tests, mode=mode).verdict == "failed: AssertionError: "
    assert run(program, "assert abs(f() - 3) == 1", mode=mode).passed


# What a program may not do: each raises an error or is stopped, so that the assertion at its end is never passed.
HARM = {
    "a process": "import os; os.fork()",
    "a process by the module below": (
        "import _posixsubprocess as p, os\np.fork_exec([b'/bin/true'], [b'/bin/true'], True, (), None, None,"
        " -1, -1, -1, -1, -1, -1, -1, -1, False, False, 0, None, None, None, -1, None, False)"
    ),
    "a process by its number": SYSCALL + "assert libc.syscall({clone}, 17, 0, 0, 0, 0) >= 0",
    "a process with the newest call": SYSCALL + "assert libc.syscall(435, ctypes.c_char_p(bytes(88)), 88) >= 0",
    "another program": "import os; os.execv('/bin/true', ['true'])",
    "a shell": "import os; assert os.system('true') == 0",
    "a thread": "import threading; threading.Thread(target=print).start()",
    "a bomb of processes": "import os\nwhile True: os.fork()",
    "a process in a session of its own": SYSCALL + "assert libc.prctl(1, 0) == 0\nimport os\nos.setsid() or os.fork()",
    "a signal to its parent": "import os; os.kill(os.getppid(), 9)",
    "a signal to everybody": "import os; os.kill(-1, 9)",
    "a signal through a descriptor": "import os, signal; signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 9)",
    "another's limits": "import os, resource; resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
    "another's memory": SYSCALL + "import os; assert libc.ptrace(16, os.getppid(), 0, 0) == 0",
    "the owner of a file's signals": "import fcntl, os; fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())",
    "the network": "import socket; socket.create_connection(('127.0.0.1', 80), 1)",
    "a socket by its path": "import socket; socket.socket(socket.AF_UNIX)",
    "memory without end": "x = bytearray(8 << 30)",
    "memory in pieces": "x = []\nwhile True: x.append(bytearray(1 << 24))",
    "memory that is no memory": "import os; os.memfd_create('x')",
    "a file without end": "f = open('x', 'wb')\nwhile True: f.write(bytes(1 << 20)); f.flush()",
    "privileges": "import os; os.setuid(os.getuid() + 1)",
    "another's processors": "import os; os.sched_setaffinity(os.getppid(), {0})",
    "the log of the kernel": SYSCALL + "assert libc.klogctl(10, None, 0) > 0",
    "namespaces": SYSCALL + "assert libc.unshare(0x10000000) == 0",
    "mounts": SYSCALL + "assert libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0",
    "a key of the kernel": SYSCALL + "assert libc.syscall({add_key}, b'user', b'x', b'y', 1, -3) > 0",
}


def calls():
    from platform import machine

    from sdft.common.cage.doors import NEVER

    return {name: numbers[MACHINES[machine()][0]] for name, numbers in NEVER.items() if name in ("clone", "add_key")}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("harm", HARM)
def test_what_a_program_may_not_do_fails(harm, mode):
    if harm == "privileges" and mode == "bare" and os.getuid() == 0:
        pytest.skip("root may become anybody, and bare takes nothing from it")
    program = HARM[harm]
    for name, number in calls().items():
        program = program.replace("{" + name + "}", str(number))
    outcome = run(program, mode=mode, memory=512)
    assert outcome.verdict.startswith("failed"), outcome


# Only the sandbox stops these.
UNSEEN = {
    "keys in the environment of a parent": (
        "import glob\nassert any(b'SDFT_TEST_KEY' in open(p, 'rb').read() for p in glob.glob('/proc/*/environ'))"
    ),
    "command lines of the machine": "import os; assert os.listdir('/proc')",
    "sockets and other files of running services": "import os; assert os.listdir('/run')",
    "the user's files": "import os; assert os.listdir(os.path.dirname({outside!r}))",
    "a file outside": "open({outside!r}, 'w')",
    "a file outside by way of /tmp": "import os; os.link({outside!r}, '/tmp/x')",
    "a pipe by its path": "open({pipe!r}, 'wb').write(b'x')",
    "a file that is deleted": "import os; os.unlink({outside!r})",
    "the environment's packages changed": "import sys; open(sys.path[-1] + '/sitecustomize.py', 'w')",
    "the interpreter's library changed": "import os; open(os.path.dirname(os.__file__) + '/x.py', 'w')",
    "many files that fill the disk": ("n = 0\nwhile True:\n open('/tmp/%d' % n, 'wb').write(bytes(8 << 20))\n n += 1"),
    "the machine's name": "import os; assert os.uname().nodename == {name!r}",
    "a device": "import os, stat; os.mknod('/tmp/disk', 0o600 | stat.S_IFBLK, os.makedev(8, 0))",
}


@needs_sandbox
@pytest.mark.parametrize("harm", UNSEEN)
def test_the_sandbox_hides_the_machine(harm, tmp_path, monkeypatch):
    monkeypatch.setenv("SDFT_TEST_KEY", "secret")
    outside, pipe = tmp_path / "precious", tmp_path / "pipe"
    outside.write_text("precious")
    os.mkfifo(pipe)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if os.access(folder, os.W_OK) and folder != Path("/tmp"):
            folder.chmod(0o777)
    outcome = run(
        UNSEEN[harm]
        .replace("{outside!r}", repr(str(outside)))
        .replace("{pipe!r}", repr(str(pipe)))
        .replace("{name!r}", repr(os.uname().nodename))
    )
    assert outcome.verdict.startswith("failed"), outcome
    assert outside.read_text() == "precious"


@needs_sandbox
def test_nothing_of_a_program_is_left_for_the_next():
    assert run("open('/tmp/left', 'w').write('x')").passed
    assert run("import os; assert not os.listdir('/tmp')").passed
    assert run("import math; math.pi = 3").passed
    assert run("import math; assert math.pi > 3").passed


@pytest.mark.parametrize("mode", MODES)
def test_time_is_the_processor_s_and_cannot_be_stopped(mode):
    endless = (
        "import signal\nfor n in (signal.SIGALRM, signal.SIGXCPU, signal.SIGTERM): signal.signal(n, signal.SIG_IGN)\n"
    )
    assert run(endless + "while True: pass", mode=mode, seconds=0.2).verdict == "timed out"
    assert run("import time; time.sleep(60)", mode=mode, seconds=0.1).verdict == "timed out"
    assert run("def f():\n while True: pass", "try:\n f()\nexcept: pass", mode=mode, seconds=0.2).verdict == "timed out"
    # Of a machine that is busy with other things.
    assert run("import time; time.sleep(0.4)", mode=mode, seconds=0.2).passed


def test_values_of_all_plain_kinds_are_handed_to_the_tests_and_equal():
    given = "None, True, 3, -(10 ** 400), 0.1, float('inf'), 'a\\udcff\\n', b'x', 2j, [1, (2, [3])], {1, 2}, {1: 'a'}"
    program = f"def f(): return ({given})\ndef g(*a, **b): return a, b\ndef h(): return map(abs, [-1])"
    tests = (
        f"assert f() == ({given}), f()\nassert g(*f(), x={{}}) == (f(), {{'x': {{}}}})\nassert list(h()) == [1]\n"
        "value = [str(type(part)) for part in f()]"
    )
    outcome = run(program, tests, mode="bare")
    assert outcome.passed, outcome
    assert outcome.value == [str(type(part)) for part in eval(f"({given})")]


def test_tests_see_helpers_constants_modules_and_errors_of_the_program():
    program = (
        "import math\nLIMIT = 3\ndef g(x): return x * LIMIT\ndef f(x):\n if x < 0: raise ValueError('no')\n return g(x)"
    )
    tests = (
        "assert f(2) == g(2) == 2 * LIMIT == math.floor(6.5)\n"
        "try: f(-1)\nexcept ValueError as error: assert str(error) == 'no'\nelse: assert False"
    )
    assert run(program, tests, mode="bare").passed
    assert run(program, "assert f(2) == 7", mode="bare").verdict.startswith("failed: AssertionError")
    assert run("import numpy\ndef f(): return numpy.int64(3)", "assert f() == 3", mode="bare").passed


def inside(parent: int) -> list[int]:
    """All processes below one."""
    found, waiting = [], [parent]
    while waiting:
        for path in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            children = list(map(int, path.read_text().split()))
            found += children
            waiting += children
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_that_is_killed_from_outside_has_not_failed(mode, number, monkeypatch):
    mine = cage.Cage(mode)
    threading.Timer(0.4, lambda: os.kill(inside(mine.process.pid)[-2], number)).start()
    with pytest.raises(CageError, match=r"killed from outside.*user namespaces"):
        mine.run("import time; time.sleep(5)", "", 3.0, 512)
    mine.close()


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_warden_that_is_killed_is_replaced_once(mode, monkeypatch):
    assert run("pass", mode=mode).passed
    for used in cage._idle:
        used.process.kill()
        used.process.wait()
    assert run("pass", mode=mode).passed


def test_a_program_whose_folder_is_full_or_gone_has_not_failed(tmp_path, monkeypatch):
    program = "def f():\n with open('x', 'w') as file: file.write('hello')\n return 1"
    mine = cage.Cage("bare")
    assert mine.run(program, "assert f() == 1", 3.0, 512).passed
    full = os.statvfs_result((4096, 4096, 9, 0, 0, 9, 0, 0, 0, 255))
    with monkeypatch.context() as patched:
        patched.setattr(os, "statvfs", lambda path: full)
        assert mine.run(program, "assert f() == 1", 3.0, 512).passed
        with pytest.raises(CageError, match="No space left on device"):
            mine.run(program, "assert f() == 2", 3.0, 512)
    for name in os.listdir(mine.folder.name):
        os.unlink(os.path.join(mine.folder.name, name))
    os.rmdir(mine.folder.name)
    with pytest.raises(CageError, match="No such file"):
        mine.run(program, "assert f() == 1", 3.0, 512)
    mine.close()


@pytest.mark.slow
def test_processes_end_with_the_evaluation_that_started_them():
    code = (
        "import os, threading\nfrom sdft.common import cage\n"
        "threading.Timer(0.5, lambda: os._exit(9)).start()\n"
        "mine = cage.Cage('bare')\nprint(mine.process.pid, flush=True)\nmine.run('while True: pass', '', 30.0, 512)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    for _ in range(100):
        if not Path(f"/proc/{done.stdout.strip()}").exists():
            return
        time.sleep(0.05)
    raise AssertionError("the warden is still there")


BROKEN = {
    "no unshare": ("sandbox", "cage.NAMESPACES = ('--nonsense',)", "nonsense"),
    "no more descriptors": ("sandbox", "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))", "open files"),
    "no temporary folder": ("bare", "tempfile.tempdir = '/nowhere'", "No such file"),
    "too little memory": ("bare", "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))", "Cannot allocate"),
    "too small files": ("bare", "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))", "RLIMIT_FSIZE"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_machine_that_gives_no_cage_is_an_error_and_no_verdict(how):
    mode, breaks, said = BROKEN[how]
    code = (
        "import os, resource, tempfile\nfrom sdft.common import cage\nfrom sdft.common.errors import run_main\n"
        f"{breaks}\nrun_main(lambda: print(cage.run('pass', mode={mode!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert said in " ".join(done.stderr.split())
    assert "counted as the model's failure" in " ".join(done.stderr.split())


@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_of_system_calls_jumps_only_within_itself(machine):
    program = filter_program(machine)
    count = len(program) // 8
    for number in range(count):
        code, yes, no = program[8 * number], program[8 * number + 2], program[8 * number + 3]
        if code & 7 == 5:
            assert number + 1 + max(yes, no) < count
    assert program[8 * (count - 1)] == 6
