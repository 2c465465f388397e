"""A Slurm cluster of one node, which is this machine, for as long as a test runs.

Its daemons run in the foreground as children, with ports, sockets and files of their own: nothing of the machine is
changed, and what an earlier run may have left behind is not met.
"""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "srun", "scancel", "scontrol", "squeue", "sinfo")
SEARCHED = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])

# A GPU that is none (/dev/null) can be asked for and is given out.
CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MinJobAge=600
KillWait=3
ReturnToService=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class NoSlurmError(RuntimeError):
    """Slurm is not installed or does not start here; the message says why."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster: ``environment`` has what its clients need."""

    environment: dict[str, str]

    def ask(self, *command: str) -> str:
        """What a client of Slurm prints."""
        done = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout

    def jobs(self) -> list[dict[str, str]]:
        """All jobs, ended ones too, in the order of their submission, with what ``scontrol`` says of each."""
        blocks = self.ask("scontrol", "--oneliner", "show", "jobs").splitlines()
        jobs = [dict(part.split("=", 1) for part in block.split() if "=" in part) for block in blocks]
        return sorted((job for job in jobs if "JobId" in job), key=lambda job: int(job["JobId"]))


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a cluster and stop it (NoSlurmError where that is not possible)."""
    if missing := [name for name in (*DAEMONS, *CLIENTS) if not shutil.which(name, path=SEARCHED)]:
        raise NoSlurmError(f"not installed: {', '.join(missing)} (Debian: slurm-wlm and munge)")
    folder = Path("/tmp") / f"slurm-{secrets.token_hex(4)}"  # short: the path of a socket has 107 characters at most
    folder.mkdir(mode=0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        running = Cluster(_configure(folder))
        for name, command in _commands(folder).items():
            stack.enter_context(_daemon(name, command, folder, running.environment))
        _wait(running, folder)
        stack.callback(running.ask, "scancel", "--signal=KILL", "--user", _user())
        yield running


def _configure(folder: Path) -> dict[str, str]:
    """Write the files of a cluster; the environment of its daemons and clients."""
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    values = {"host": _host(), "user": _user(), "ports": _free_ports(2), "cpus": os.cpu_count(), "memory": memory}
    config = folder / "slurm.conf"
    config.write_text(CONFIG.format(folder=folder, **values), encoding="utf-8")
    (folder / "gres.conf").write_text(f"NodeName={_host()} Name=gpu Count=1 File=/dev/null\n", encoding="utf-8")
    _keep_config(folder / "bin" / "srun", config)
    return {"SLURM_CONF": str(config), "PATH": os.pathsep.join([str(folder / "bin"), SEARCHED])}


def _keep_config(path: Path, config: Path) -> None:
    """An ``srun`` that knows the cluster: Snakemake takes all variables of Slurm from the environment of its own."""
    real = shutil.which("srun", path=SEARCHED)
    path.write_text(f'#!/bin/sh\nSLURM_CONF={config} exec {real} "$@"\n', encoding="utf-8")
    path.chmod(0o755)


def _commands(folder: Path) -> dict[str, list[str]]:
    files = ("key-file=munge.key", "socket=munge.sock", "pid-file=munged.pid", "log-file=munged.log", "seed-file=seed")
    return {
        "munged": ["--foreground", "--force", *(f"--{file.replace('=', f'={folder}/')}" for file in files)],
        "slurmctld": ["-D", "-c"],
        "slurmd": ["-D", "-N", _host()],
    }


@contextmanager
def _daemon(name: str, arguments: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """A daemon that runs until the end, and then not any more."""
    path = str(shutil.which(name, path=SEARCHED))
    with (folder / f"{name}.out").open("wb") as log:
        process = subprocess.Popen(
            [path, *arguments],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if name == "munged":
                _until(lambda: (folder / "munge.sock").exists())
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(running: Cluster, folder: Path) -> None:
    """Wait until the node takes jobs."""

    def idle() -> bool:
        try:
            return "idle" in running.ask("sinfo", "--noheader", "--format=%T")
        except subprocess.SubprocessError:
            return False

    if not _until(idle):
        said = [line for path in sorted(folder.glob("*.out")) for line in path.read_text(errors="replace").splitlines()]
        raise NoSlurmError("Slurm does not start here: " + " | ".join(said[-6:]))


def _until(true, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _host() -> str:
    return socket.gethostname().partition(".")[0]


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name
