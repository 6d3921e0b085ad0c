"""A real SLURM cluster on this machine, for the tests: slurmctld and slurmd as ordinary processes in one folder.

No systemd, no cgroups, no database and no root are needed, only the packages slurmctld, slurmd, slurm-client and munge.
Two nodes claim 16 CPUs and 8 GPUs each, whatever the machine has: nothing is isolated and the GPUs are numbers.
By hand: `python tests/slurm/cluster.py start DIR`, `. DIR/env.sh`, `python tests/slurm/cluster.py stop DIR`.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "munged")
SEARCH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"

# Seconds-long reactions everywhere, so that a test of a lost node or a requeue takes less than a minute.
# - MinJobAge: squeue must still show a job when Snakemake asks for it.
# - cred_expire: a requeued job waits that long before it starts again (SLURM's own default is 120 s).
# - config_overrides: nodes may claim more than the machine has.
# - DefMemPerCPU: otherwise a job without a memory request takes a whole node.
# - OverMemoryKill with jobacct_gather/linux: memory limits without cgroups.
# - PriorityTier: a job in `urgent` preempts one in `main` (requeued) or in `fragile` (cancelled).
CONFIG = """\
ClusterName=sdft
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={dir}/munge/socket,cred_expire=10
CredType=cred/munge
StateSaveLocation={dir}/state
SlurmdSpoolDir={dir}/spool/%n
SlurmctldPidFile={dir}/pid/slurmctld
SlurmdPidFile={dir}/pid/%n
SlurmctldLogFile={dir}/log/slurmctld.log
SlurmdLogFile={dir}/log/%n.log
SlurmctldDebug=info
SlurmdDebug=info
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MinJobAge={min_job_age}
MaxJobCount=20000
SlurmctldTimeout=20
SlurmdTimeout=30
InactiveLimit=0
KillWait=3
CompleteWait=0
MessageTimeout=10
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,sched_interval=2,bf_interval=2,requeue_setup_env_fail
JobRequeue=1
JobFileAppend=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=1000
SlurmdParameters=config_overrides
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PreemptExemptTime=0
{nodes}
PartitionName=main Nodes=ALL Default={has_default} MaxTime=7-0 DefaultTime=60 PriorityTier=10 State=UP
PartitionName=fragile Nodes=ALL MaxTime=7-0 DefaultTime=60 PriorityTier=10 PreemptMode=CANCEL State=UP
PartitionName=urgent Nodes=ALL MaxTime=7-0 DefaultTime=60 PriorityTier=20 State=UP
"""

NODE = (
    "NodeName=n{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=16 RealMemory=256000 "
    "Gres=gpu:h200:8 State=UNKNOWN"
)


class Unavailable(Exception):
    """Why no cluster can be had here."""


def install() -> None:
    """Install the packages by apt where they are missing; raise Unavailable where that cannot be.

    SDFT_SLURM_TESTS=1 asks for it, as .ci/run does: a cluster kills daemons, takes minutes, and needs root's apt-get
    the first time.
    """
    if not os.environ.get("SDFT_SLURM_TESTS"):
        raise Unavailable("set SDFT_SLURM_TESTS=1 to start one (minutes; installs SLURM where it is missing)")
    missing = [name for name in PROGRAMS if shutil.which(name, path=SEARCH) is None]
    if not missing:
        return
    command = f"apt-get install --no-install-recommends {' '.join(PACKAGES)}"
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Unavailable(f"no {', '.join(missing)}, and no apt-get as root; install them ({command})")
    quiet = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "capture_output": True, "text": True}
    subprocess.run(["apt-get", "update"], check=False, **quiet)
    done = subprocess.run([*command.split(), "-y"], check=False, **quiet)
    if done.returncode:
        raise Unavailable(f"apt-get could not install the packages: {done.stderr.strip()[-300:]}")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_until(true: Callable[[], object], seconds: float, what: str) -> None:
    """Return as soon as `true()` holds; raise AssertionError naming `what` after so many seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.1)


class Cluster:
    """The cluster in a folder, whose path must be short (it holds a Unix socket)."""

    def __init__(self, folder: str | Path, nodes: int = 2) -> None:
        self.dir = Path(folder).resolve()
        self.nodes = [f"n{number + 1}" for number in range(nodes)]

    @property
    def env(self) -> dict[str, str]:
        """The environment in which the SLURM commands, and Snakemake, use this cluster."""
        return os.environ | {"SLURM_CONF": str(self.dir / "slurm.conf"), "PATH": f"{self.dir}/bin:{SEARCH}"}

    def configure(self, min_job_age: int = 86400, has_default: bool = True) -> None:
        """Write the configuration anew, with the ports of the first time."""
        ports_file = self.dir / "ports"
        if not ports_file.exists():
            ports_file.write_text(" ".join(map(str, _free_ports(1 + len(self.nodes)))))
        ports = [int(port) for port in ports_file.read_text().split()]
        host = socket.gethostname().split(".")[0]
        nodes = [NODE.format(number=i + 1, host=host, port=port) for i, port in enumerate(ports[1:])]
        text = CONFIG.format(
            dir=self.dir,
            host=host,
            user=getpass.getuser(),
            ports=ports,
            nodes="\n".join(nodes),
            min_job_age=min_job_age,
            has_default="YES" if has_default else "NO",
        )
        (self.dir / "slurm.conf").write_text(text)

    def start(self, **settings: object) -> None:
        """Start every daemon and return when all nodes are idle. Raises Unavailable with the end of the logs."""
        for name in ("munge", "state", "spool", "pid", "log", "dev", "bin", *(f"spool/{n}" for n in self.nodes)):
            (self.dir / name).mkdir(parents=True, exist_ok=True)
        for number in range(8):
            link = self.dir / "dev" / f"nvidia{number}"
            if not link.is_symlink():
                link.symlink_to("/dev/null")
        self.configure(**settings)
        # A device file, if only a link to /dev/null, is what makes SLURM set CUDA_VISIBLE_DEVICES.
        (self.dir / "gres.conf").write_text(f"Name=gpu Type=h200 File={self.dir}/dev/nvidia[0-7]\n")
        (self.dir / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        # Inside a job the executor plugin removes SLURM_CONF, without which srun finds no cluster here.
        srun = self.dir / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.dir}/slurm.conf exec {shutil.which("srun", path=SEARCH)} "$@"\n')
        srun.chmod(0o755)
        (self.dir / "env.sh").write_text(
            f'export SLURM_CONF={self.dir}/slurm.conf PATH="{self.dir}/bin:$PATH:/usr/sbin:/sbin"\n'
        )
        key = self.dir / "munge" / "key"
        if not key.exists():
            key.write_bytes(os.urandom(1024))
            key.chmod(0o400)
        for name in ("munged", "slurmctld", *self.nodes):
            self.start_daemon(name)
        try:
            wait_until(self._ready, 30, "all nodes idle")
        except AssertionError as error:
            logs = "\n".join(f"{log.name}: {log.read_text()[-800:]}" for log in (self.dir / "log").iterdir())
            self.stop()
            raise Unavailable(f"the cluster did not start ({error}): {logs}") from None

    def _ready(self) -> bool:
        states = self.run("sinfo", "--noheader", "--Node", "--partition=main", "--format=%T", check=False).split()
        return len(states) == len(self.nodes) and set(states) == {"idle"}

    def start_daemon(self, name: str) -> None:
        """Start munged, slurmctld or the slurmd of a node; it goes to the background by itself."""
        if name == "munged":
            folder = self.dir / "munge"
            command = ["munged", "--force", f"--key-file={folder}/key", f"--socket={folder}/socket"]
            command += [f"--pid-file={self.dir}/pid/munged", f"--log-file={self.dir}/log/munged.log"]
            command += [f"--seed-file={folder}/seed"]
        elif name == "slurmctld":
            command = ["slurmctld", "-f", str(self.dir / "slurm.conf")]
        else:
            command = ["slurmd", "-N", name, "-f", str(self.dir / "slurm.conf")]
        subprocess.run(command, env=self.env, check=True, capture_output=True, text=True)

    def kill_daemon(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to one daemon; it is gone, and its pid file with it, when this returns."""
        path = self.dir / "pid" / name
        if not path.exists():
            return
        pid = int(path.read_text())
        # The pid may belong to somebody else by now.
        comm = Path(f"/proc/{pid}/comm")
        if comm.exists() and comm.read_text().strip() in ("munged", "slurmctld", "slurmd"):
            os.kill(pid, number)
            wait_until(lambda: not _alive(pid), 10, f"{name} gone")
        path.unlink(missing_ok=True)

    def lose_node(self, name: str) -> None:
        """What a power loss does to a node: its daemon, its job steps and their processes are gone at once."""
        self.kill_daemon(name)
        for pid in self._processes_of(name):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _processes_of(self, name: str) -> Iterator[int]:
        """The processes whose environment says that SLURM started them on this node, step daemons included."""
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
                arguments = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            ours = f"SLURM_CONF={self.dir}/slurm.conf".encode() in environment
            if (ours and (f"SLURMD_NODENAME={name}".encode() in environment)) or (
                arguments[0].startswith(b"slurmstepd") and self._stepd_of(folder, name)
            ):
                yield int(folder.name)

    def _stepd_of(self, folder: Path, name: str) -> bool:
        try:
            return any(str(self.dir / "spool" / name) in os.readlink(link) for link in (folder / "fd").iterdir())
        except OSError:
            return False

    def cancel_all(self) -> None:
        """Cancel every job and return when none is left."""
        self.run("scancel", "--user", getpass.getuser(), check=False)
        wait_until(lambda: not self.run("squeue", "--noheader").strip(), 30, "no job left")

    def stop(self) -> None:
        """Cancel every job and stop every daemon."""
        if (self.dir / "pid" / "slurmctld").exists():
            self.cancel_all()
        for name in (*self.nodes, "slurmctld", "munged"):
            self.kill_daemon(name)

    def run(self, *command: str, check: bool = True, timeout: float = 30) -> str:
        """Standard output of a SLURM command."""
        done = subprocess.run(command, env=self.env, check=False, capture_output=True, text=True, timeout=timeout)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def jobs(self) -> dict[str, tuple[str, str, str]]:
        """Every job the controller remembers: id -> (state, name, comment)."""
        command = ["squeue", "--states=all", "--noheader", "--format=%i|%T|%j|%k"]
        try:
            answer = self.run(*command)
        except AssertionError:
            # On a busy machine a single query may fail.
            time.sleep(2)
            answer = self.run(*command)
        lines = answer.splitlines()
        return {fields[0]: tuple(fields[1:4]) for fields in (line.split("|") for line in lines)}

    def states(self) -> list[str]:
        return [state for state, _, _ in self.jobs().values()]

    def wait_for_job(self, comment: str, state: str = "RUNNING", seconds: float = 60) -> str:
        """The id of a job whose comment (rule and wildcards) has the given text, once it is in that state."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [i for i, (now, _, text) in self.jobs().items() if now == state and comment in text]
            return bool(found)

        wait_until(look, seconds, f"a job {comment!r} is {state}")
        return found[-1]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    action, where = sys.argv[1:]
    cluster = Cluster(where)
    if action == "start":
        install()
        cluster.start()
        print(f". {cluster.dir}/env.sh")
    else:
        cluster.stop()
