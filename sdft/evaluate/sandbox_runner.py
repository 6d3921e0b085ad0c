"""Runs inside the sandbox, from its text and the standard library alone: shut the doors, then run the program."""

import ctypes
import json
import os
import resource
import signal
import sys

AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, MOUNT_SETATTR = -100, 0x8000, 1, 442
MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE = 2, 4, 16384, 1 << 18
PR_SET_NO_NEW_PRIVS, CAPABILITY_VERSION = 38, 0x20080522


def shut(disk):
    """Make the file system read-only but for an empty /tmp, and give up every capability; needs a user namespace."""
    libc = ctypes.CDLL(None, use_errno=True)

    def check(done, what):
        if done != 0:
            raise OSError(ctypes.get_errno(), what)

    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    check(libc.syscall(MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, ctypes.byref(attributes), size), "read-only mounts")
    check(libc.mount(b"tmpfs", b"/tmp", b"tmpfs", MS_NOSUID | MS_NODEV, b"size=%dm" % disk), "empty /tmp")
    os.chdir("/tmp")
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    header, nothing = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    check(libc.capset(ctypes.byref(header), ctypes.byref(nothing)), "no capabilities")


def limit(job):
    mebibytes, seconds = 1 << 20, int(job["seconds"]) + 1
    for name, value in (
        ("AS", job["memory"] * mebibytes),
        ("FSIZE", job["disk"] * mebibytes),
        ("NPROC", job["threads"]),
        ("CPU", seconds),
        ("CORE", 0),
        ("NOFILE", 64),
    ):
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))


# Root is exempt from the limit on processes, so starting one is forbidden here too. Such a hook cannot be removed.
FORBIDDEN = ("os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.kill", "os.killpg")


def forbid(event, _):
    if event in FORBIDDEN or event.startswith(("subprocess.", "ctypes.")):
        raise PermissionError(f"{event} is not allowed here")


class TimeIsUp(BaseException):
    pass


def ring(*_):
    raise TimeIsUp


def main():
    job = json.load(sys.stdin)
    report, token = job["report"], job["token"]
    if job["mode"] == "sandbox":
        shut(job["disk"])
    limit(job)
    signal.signal(signal.SIGALRM, ring)
    sys.stdin = open(os.devnull)  # noqa: SIM115
    sys.addaudithook(forbid)
    space = {"__name__": "__main__"}
    try:
        signal.setitimer(signal.ITIMER_REAL, job["seconds"])
        try:
            exec(job["program"], space)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        outcome = f"passed {token}"
    except TimeIsUp:
        outcome = "timed out"
    except BaseException as error:
        outcome = f"failed: {type(error).__name__}: {error}"[:1000]
    os.write(report, outcome.encode())
    os._exit(0)


main()
