"""Properties of this machine, found without importing torch."""

import os
import platform
import sys
from pathlib import Path


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


def peak_memory() -> int:
    """The largest resident memory of this process so far, in bytes."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.is_file() else []
    if peaks := [line.split()[1] for line in lines if line.startswith("VmHWM:")]:
        return int(peaks[0]) * 1024  # getrusage would report the parent's peak if that is larger
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
