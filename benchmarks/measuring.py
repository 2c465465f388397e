"""What measuring costs: paired ratios to the pure forward pass, in one process.

Each row is one network; each column a suite of measures. A ratio is the time of ``cnn_invariance.measure`` over N
samples x M transformations, divided by the time of the bare network over the same N x M images, already transformed,
same dtype, at its best batch size. Runs alternate; the median of the paired ratios is shown. ``tmeasures``, the
paper's own library, is measured beside (NV alone) on fewer samples, per sample.

    python benchmarks/measuring.py --help
"""

import argparse
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import cnn_invariance as ci
from cnn_invariance import models
from cnn_invariance.measures import native
from cnn_invariance.transformations import rotation
from cnn_invariance.transformations.warp import transform_all

NETWORKS: dict[str, tuple[dict[str, int], tuple[int, int, int]]] = {
    "ResNet18": ({"width": 64}, (3, 32, 32)),
    "VGG16D": ({"width": 64, "dense": 512}, (3, 32, 32)),
    "SimpleConv": ({"width": 32, "dense": 64}, (1, 28, 28)),
}
SUITES = {
    "NV": ["NV"],
    "+ ANOVA, Goodfellow": ["NV", "ANOVA_F", "ANOVA", "Goodfellow"],
    "+ same-equivariance": ["NV", "ANOVA_F", "ANOVA", "Goodfellow", "NVSE"],
    "whole suite": None,
}
GOALS = {
    "ResNet18": (1.25, 1.4, 1.8, 2.1),
    "VGG16D": (1.3, 1.5, 1.9, 2.3),
    "SimpleConv": (1.6, 1.9, 3.0, 4.5),
}


def clock(work: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def forward(network: nn.Module, batches: list[Tensor]) -> None:
    with torch.inference_mode():
        for batch in batches:
            network(batch)


def best_batches(network: nn.Module, images: Tensor, device: torch.device) -> list[Tensor]:
    """The already transformed images, cut at the batch size that is fastest here."""
    sizes = (1024, 4096, 16384) if device.type == "cuda" else (25, 50, 100, 200, 400)
    cut = {size: [b.contiguous(memory_format=torch.channels_last) for b in images.split(size)] for size in sizes}
    for batches in cut.values():
        forward(network, batches[:2])

    def time(size: int) -> float:
        return min(clock(lambda: forward(network, cut[size]), device) for _ in range(2))

    return cut[min(sizes, key=time)]


def row(name: str, N: int, M: int, runs: int, device: torch.device, tile: int | None) -> dict[str, object]:
    arguments, shape = NETWORKS[name]
    torch.manual_seed(0)
    network = models.build(name, shape, 10, **arguments).eval().to(device, memory_format=torch.channels_last)
    images = torch.randn(N, *shape)
    transformations = rotation(n=M, angle_deg=360)
    transformed = transform_all(images.to(device), transformations.matrices).flatten(0, 1)
    batches = best_batches(network, transformed, device)
    del transformed
    results: dict[str, object] = {"network": name, "N": N, "M": M, "batch": len(batches[0])}
    for suite, measures in SUITES.items():
        work = lambda measures=measures: ci.measure(network, images, transformations, measures, tile=tile)  # noqa: E731
        work()
        pairs = [(clock(lambda: forward(network, batches), device), clock(work, device)) for _ in range(runs)]
        results[suite] = statistics.median(measured / pure for pure, measured in pairs)
        results["forward_s"] = statistics.median(pure for pure, _ in pairs)
    results["peak_GB"] = (
        torch.cuda.max_memory_allocated() / 1e9
        if device.type == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform != "darwin" else 1e9)
    )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--samples", type=int, default=48)
    parser.add_argument("--transformations", type=int, default=25)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tile", type=int)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    compiled = "compiled loops" if native.available(device) else "torch operations alone"
    print(
        f"{platform.machine()}, {device.type}, torch {torch.__version__}, {torch.get_num_threads()} threads, {compiled}"
    )
    rows = []
    for name in options.networks:
        rows.append(row(name, options.samples, options.transformations, options.runs, device, options.tile))
        result = rows[-1]
        cells = [f"{result[suite]:.2f} ({goal})" for suite, goal in zip(SUITES, GOALS[name], strict=True)]
        print(f"{name:12} {'  '.join(cells)}  forward {result['forward_s']:.2f} s, batch {result['batch']}, "
              f"peak {result['peak_GB']:.2f} GB", flush=True)  # fmt: skip
    if options.json:
        with open(options.json, "w") as file:  # noqa: PTH123
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
