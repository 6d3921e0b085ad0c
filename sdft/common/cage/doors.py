"""What the Linux kernel is asked to forbid a process: files, privileges, resources and system calls.

Namespaces, mounts and capabilities need a user namespace of which this process is root (`unshare --map-root-user`).
The filter of system calls (seccomp) and the limits need no privilege, and hold for root too.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import resource
import struct
from collections.abc import Iterable
from pathlib import Path

AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID = -100, 0x8000, 1, 2
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 2, 4, 4096, 16384, 1 << 18, 2
PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 4, 15, 22, 38
CAPABILITY_VERSION = 0x20080522
# Of files outside an environment: the system's programs and libraries, and the devices that every program may use.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ld.so.cache", "/etc/alternatives")
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")

# Numbers of system calls by machine, in the order x86_64, aarch64.
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
NEVER = {
    # Another process, in any way: begun, signalled, looked into, or waited for by a descriptor.
    **{"fork": (57, None), "vfork": (58, None), "clone": (56, 220), "execve": (59, 221), "execveat": (322, 281)},
    **{"kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138)},
    **{"rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424)},
    **{"pidfd_getfd": (438, 438), "ptrace": (101, 117), "process_vm_readv": (310, 270), "kcmp": (312, 272)},
    **{"process_vm_writev": (311, 271), "process_madvise": (440, 440), "setpriority": (141, 140)},
    **{"ioprio_set": (251, 30), "sched_setscheduler": (144, 119), "timer_create": (222, 107)},
    **{"sched_setaffinity": (203, 122), "sched_setattr": (314, 274), "sched_setparam": (142, 118)},
    **{"move_pages": (279, 239), "migrate_pages": (256, 238)},
    # The network, and sockets that are files.
    **{"socket": (41, 198), "connect": (42, 203), "bind": (49, 200)},
    # Memory that the limit on the address space does not count, and queues that outlive a process.
    **{"memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "msgget": (68, 186)},
    **{"semget": (64, 190), "mq_open": (240, 180), "mq_notify": (244, 184)},
    # Other views of the machine, and the parts of the kernel in which its faults are found.
    **{"unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41)},
    **{"chroot": (161, 51), "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430)},
    **{"fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442)},
    **{"open_by_handle_at": (304, 265), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218)},
    **{"bpf": (321, 280), "userfaultfd": (323, 282), "perf_event_open": (298, 241), "personality": (135, 92)},
    **{"syslog": (103, 116), "modify_ldt": (154, None)},
    **{"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427)},
}
# As if the kernel were older: libraries then use `clone`.
UNKNOWN = {"clone3": (435, 435)}
# By system call, the number of the argument that decides, its forbidden values, or its only allowed ones.
# fcntl: who gets signals of a file, and which; ioctl: the same, and typing into a terminal.
BUT = {"fcntl": ((72, 25), 1, (8, 10, 15)), "ioctl": ((16, 29), 1, (0x8901, 0x8902, 0x5412, 0x541C))}
ONLY = {"prctl": ((157, 167), 0, (PR_SET_NAME,)), "prlimit64": ((302, 261), 0, (0,))}
EPERM, ENOSYS, ALLOW, DENY = 1, 38, 0x7FFF0000, 0x00050000
LOAD, EQUAL, NOT_LESS, RETURN = 0x20, 0x15, 0x35, 0x06


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _done(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def filter_program(machine: str) -> bytes:
    """The filter of system calls for a machine, as the kernel's classic BPF. Raises OSError for an unknown machine."""
    if machine not in MACHINES:
        raise OSError(f"no filter of system calls is known for {machine}; those known are {', '.join(MACHINES)}")
    place, audit = MACHINES[machine]
    code: list[tuple[int, int, int, int]] = []
    add = lambda operation, value, yes=0, no=0: code.append((operation, yes, no, value))  # noqa: E731
    add(LOAD, 4)
    add(EQUAL, audit, 1, 0)
    add(RETURN, DENY | EPERM)
    add(LOAD, 0)
    if machine == "x86_64":
        # The second set of numbers of this machine.
        add(NOT_LESS, 0x40000000, 0, 1)
        add(RETURN, DENY | EPERM)
    for answer, calls in ((EPERM, NEVER), (ENOSYS, UNKNOWN)):
        for numbers in calls.values():
            if numbers[place] is not None:
                add(EQUAL, numbers[place], 0, 1)
                add(RETURN, DENY | answer)
    for rest, others, chosen in ((ALLOW, DENY | EPERM, BUT), (DENY | EPERM, ALLOW, ONLY)):
        for numbers, argument, values in chosen.values():
            add(EQUAL, numbers[place], 0, 2 + 2 * len(values))
            add(LOAD, 16 + 8 * argument)
            for value in values:
                add(EQUAL, value, 0, 1)
                add(RETURN, others)
            add(RETURN, rest)
    add(RETURN, ALLOW)
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def forbid_calls() -> None:
    """Forbid this process the system calls above, for good. Raises OSError."""
    library, program = _library(), filter_program(platform.machine())
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    _done(library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    _done(library.prctl(PR_SET_SECCOMP, 2, ctypes.c_char_p(header), 0, 0), "filter of system calls")


def drop_capabilities() -> None:
    """Give up every capability. Raises OSError."""
    header, nothing = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    _done(_library().capset(ctypes.byref(header), ctypes.byref(nothing)), "no capabilities")


def hide() -> None:
    """Keep other processes of the same user from this one's memory and environment."""
    _done(_library().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "hidden memory")


def limit(memory: int, disk: int, seconds: float) -> None:
    """Bound the address space and the size of a file, in MiB, and the processor time; no core files.

    Raises OSError where the machine gives less than that, so that a program would fail for what it may use.
    """
    mmap.mmap(-1, memory << 20).close()
    for name, value in (
        ("AS", memory << 20),
        ("FSIZE", disk << 20),
        # The warden looks at the time itself; this is for the case that it cannot.
        ("CPU", int(seconds) + 3),
        ("CORE", 0),
        ("NOFILE", 64),
    ):
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        if resource.RLIM_INFINITY != hard < value:
            raise OSError(
                f"the limit RLIMIT_{name} is {hard} here, and programs are to have {value}; raise it (ulimit)"
            )
        resource.setrlimit(number, (value, value))


def minimal_root(visible: Iterable[str], disk: int) -> None:
    """Move into a root that holds the system's libraries and `visible`, read-only, and an empty /tmp of `disk` MiB.

    There is no /proc, /sys, /run or /home, and so no process, socket or setting of the machine, nor its name. Raises
    OSError.
    """
    # The new root is put together where it hides nothing that goes into it.
    library, root, there = _library(), Path("/proc"), []
    _done(library.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")
    _mount_tmpfs(str(root), 1)
    for name in dict.fromkeys((*SYSTEM, *DEVICES, *sorted(visible))):
        source, target = Path(name), root / name.lstrip("/")
        if not source.exists() or any(source.is_relative_to(above) for above in there):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink() and name in SYSTEM:
            target.symlink_to(os.readlink(source))
            continue
        target.mkdir() if source.is_dir() else target.touch()
        _done(library.mount(name.encode(), str(target).encode(), None, MS_BIND | MS_REC, None), f"{name} in the root")
        there.append(name)
    (root / "tmp").mkdir(exist_ok=True)
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0, 0)
    number, size = NEVER["mount_setattr"][0], ctypes.c_size_t(ctypes.sizeof(attributes))
    done = library.syscall(number, AT_FDCWD, str(root).encode(), AT_RECURSIVE, ctypes.byref(attributes), size)
    _done(done, "read-only mounts")
    _mount_tmpfs(str(root / "tmp"), disk)
    os.chdir(root)
    _done(library.syscall(NEVER["pivot_root"][MACHINES[platform.machine()][0]], b".", b"."), "minimal root")
    _done(library.umount2(b".", MNT_DETACH), "the machine's root left")
    os.chdir("/tmp")
    _done(library.sethostname(b"cage", 4), "a name of its own")


def _mount_tmpfs(place: str, mebibytes: int) -> None:
    options = b"size=%dm,nr_inodes=4096,mode=0755" % mebibytes
    _done(_library().mount(b"tmpfs", place.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, options), f"empty {place}")


def empty_tmp(disk: int) -> None:
    """Replace what a program left in /tmp by nothing. Raises OSError."""
    os.chdir("/")
    _done(_library().umount2(b"/tmp", MNT_DETACH), "the last /tmp left")
    _mount_tmpfs("/tmp", disk)
    os.chdir("/tmp")
