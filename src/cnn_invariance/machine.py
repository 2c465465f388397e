"""Properties of this machine, found without importing torch."""

import contextlib
import os
import platform
import signal
import sys
from pathlib import Path
from typing import NoReturn

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that ask a process to end: Ctrl-C, a scheduler, a terminal that is closed."""


def leave(status: int) -> NoReturn:
    """End this process now, with what it printed; tidying up its memory can take seconds."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def gpus() -> int:
    """The number of NVIDIA GPUs that the driver shows; 0 if CUDA_VISIBLE_DEVICES hides them all."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return 0
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def put_own_commands_first() -> None:
    """Put the folder of this Python first in PATH, so that child processes use the commands installed there.

    ``.venv/bin/snakemake`` then works in a shell where the environment is not activated.
    """
    folder, others = Path(sys.executable).parent, os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([str(folder), others])


def cpu() -> str:
    """The model name of the processor; its architecture where the system does not report a name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def emulates_bf16() -> bool | None:
    """Whether the processor computes in bfloat16 by emulation; None where that is not known.

    On x86, the instructions of AVX-512 BF16 or of AMX are needed; what other processors do is not known here.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return None
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), None)
    return None if flags is None else not {"avx512_bf16", "amx_bf16"}.intersection(flags)


def cpu_id() -> str | None:
    """Vendor, family, model and stepping of the processor; None if the system does not report them.

    The model name is not enough: a virtual machine often reports one name, such as "AMD EPYC", for several generations
    of processors, whose rounding differs.
    """
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    facts = dict(reversed([[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]))
    known = [facts.get(name) for name in ("vendor_id", "cpu family", "model", "stepping")]
    return None if None in known else "{} {}-{}-{}".format(*known)


def cache_of_a_core(folder: Path = Path("/sys/devices/system/cpu")) -> int | None:
    """The bytes of cache that a core of this process can count on: its second level, and its share of the last.

    A virtual machine is often shown a whole last level that others use as well: of it, no more than makes `BELIEVED`
    times the second level is counted. None where the system does not tell.
    """
    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
    caches = [read for path in sorted(folder.glob(f"cpu{min(cpus)}/cache/index*")) if (read := _cache(path))]
    if len(caches) < 2 or {1, 2} - {level for level, _, _ in caches}:
        return None
    siblings = min(sharers for level, _, sharers in caches if level == 1)  # hardware threads of one core
    share = {level: size // max(1, sharers // siblings) for level, size, sharers in caches}
    return min(share[2] + (share[max(share)] if max(share) > 2 else 0), BELIEVED * share[2])


BELIEVED = 6


def _cache(path: Path) -> tuple[int, int, int] | None:
    """Level, bytes and number of hardware threads of a data cache; None for one of instructions, or not described."""
    try:
        level, kind, size, threads = (
            (path / name).read_text(encoding="ascii").strip() for name in ("level", "type", "size", "shared_cpu_list")
        )
        units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
        sharers = sum(int(last or first) - int(first) + 1 for first, _, last in _ranges(threads))
        return None if kind == "Instruction" else (int(level), int(size[:-1]) * units[size[-1]], sharers)
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _ranges(text: str) -> list[tuple[str, str, str]]:
    """The parts of a list such as 0-3,8-11."""
    return [part.partition("-") for part in text.split(",")]


def free_memory() -> int | None:
    """The bytes of memory that a process can still have: of the machine, and of its control group if that has a limit.

    None where the system does not say (it does on Linux).
    """
    found = [int(line.split()[1]) * 1024 for line in _lines("/proc/meminfo") if line.startswith("MemAvailable:")]
    limit, used = (_lines(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit and used and limit[0].isdigit():
        found.append(max(0, int(limit[0]) - int(used[0])))
    return min(found, default=None)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def peak_memory() -> int:
    """The largest resident memory of this process so far, in bytes."""
    if peaks := [line.split()[1] for line in _lines("/proc/self/status") if line.startswith("VmHWM:")]:
        return int(peaks[0]) * 1024  # getrusage would report the parent's peak if that is larger
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
