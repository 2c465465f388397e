"""Timing of work on a device, for the benchmarks."""

import time
from collections.abc import Callable

import torch


def clock(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that the work takes, with what a GPU has queued."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
