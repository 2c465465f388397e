"""What this machine has, told without torch."""

import os
import platform
import sys
from pathlib import Path


def gpus() -> int:
    """How many NVIDIA GPUs a job could use: those of the driver, unless CUDA_VISIBLE_DEVICES is empty."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return 0
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def put_own_commands_first() -> None:
    """Let child processes find the commands installed beside this Python before any others.

    So ``.venv/bin/snakemake`` works in a shell where the environment is not activated.
    """
    own, others = Path(sys.executable).parent, os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([str(own), others])


def cpu() -> str:
    """The model name of the processor, as far as the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def cpu_id() -> str | None:
    """Vendor, family, model and stepping of the processor, which its name may hide; None where they are not told.

    A virtual machine often shows one name, such as "AMD EPYC", for several generations that compute differently.
    """
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    facts = dict(reversed([[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]))
    known = [facts.get(name) for name in ("vendor_id", "cpu family", "model", "stepping")]
    return None if None in known else "{} {}-{}-{}".format(*known)


def peak_memory() -> int:
    """The most resident memory of this process so far, in bytes."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.is_file() else []
    if peaks := [line.split()[1] for line in lines if line.startswith("VmHWM:")]:
        return int(peaks[0]) * 1024  # getrusage would tell the peak of the parent, where that was larger
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
