"""What measuring costs: paired ratios to the pure forward pass, in one process.

Each row is one network; each column a suite of measures. A ratio is the time of ``cnn_invariance.measure`` over N
samples x M transformations, divided by the time of the bare network over the same N x M images, already transformed,
same dtype, at its best batch size, and with freed memory kept as in our pass. Runs alternate; the median of the paired
ratios is shown, beside the goal.
``tmeasures``, the author's library, is measured beside, on the same device, for NV alone and on fewer samples: its
ratio, and how many times as fast NV is here for a sample under a transformation. Memory is the peak of a
process of its own that measures the whole suite, with N and with 4 N samples.

    python benchmarks/measuring.py                            the table, in Markdown
    python benchmarks/measuring.py --uncertainty              instead, what intervals over samples cost
    CNN_INVARIANCE_NATIVE=0 python benchmarks/measuring.py    without the compiled loops
"""

import argparse
import platform
import statistics
import subprocess
import sys
import warnings

import torch
from clock import clock
from torch import Tensor, nn

import cnn_invariance as ci
from cnn_invariance import models
from cnn_invariance.devices import memory_kept
from cnn_invariance.machine import peak_memory
from cnn_invariance.measures.backends import c_loops
from cnn_invariance.transformations import AffineSet, rotation
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
SAMPLES = {"ResNet18": 64, "VGG16D": 48, "SimpleConv": 256}
GPU_SAMPLES = 5000
TMEASURES_SAMPLES = {"cpu": 8, "cuda": 100}
GOALS: dict[str, dict[str, tuple[float | None, ...]]] = {  # by suite; then how many times as fast as tmeasures
    "cpu": {
        "ResNet18": (1.25, 1.4, 1.8, 2.1, None),
        "VGG16D": (1.3, 1.5, 1.9, 2.3, None),
        "SimpleConv": (1.6, 1.9, 3.0, 4.5, None),
    },
    "cuda": {"ResNet18": (None, None, None, 1.5, 100)},
}
NO_GOALS = (None,) * 5


def forward(network: nn.Module, batches: list[Tensor]) -> None:
    with torch.inference_mode(), memory_kept():
        for batch in batches:
            network(batch)


def best_batches(network: nn.Module, images: Tensor, transformations: AffineSet, device: torch.device) -> list[Tensor]:
    """The images, already transformed, cut at the batch size that is fastest here."""
    images = transform_all(images.to(device), transformations.matrices).flatten(0, 1)
    sizes = (1024, 4096, 16384) if device.type == "cuda" else (25, 50, 100, 200, 400)
    cut = {size: [b.contiguous(memory_format=torch.channels_last) for b in images.split(size)] for size in sizes}
    for batches in cut.values():
        forward(network, batches[:2])

    def time(size: int) -> float:
        return min(clock(lambda: forward(network, cut[size]), device) for _ in range(2))

    return cut[min(sizes, key=time)]


def case(name: str, N: int, M: int, device: torch.device) -> tuple[nn.Module, Tensor, AffineSet]:
    arguments, shape = NETWORKS[name]
    torch.manual_seed(0)
    network = models.build(name, shape, 10, **arguments).eval().to(device, memory_format=torch.channels_last)
    return network, torch.randn(N, *shape), rotation(n=M, closed=False)


def row(name: str, N: int, M: int, runs: int, device: torch.device, tile: int | None) -> dict[str, float]:
    network, images, transformations = case(name, N, M, device)
    batches = best_batches(network, images, transformations, device)
    results: dict[str, float] = {}
    for suite, measures in SUITES.items():
        work = lambda measures=measures: ci.measure(network, images, transformations, measures, tile=tile)  # noqa: E731
        work()
        pairs = [(clock(lambda: forward(network, batches), device), clock(work, device)) for _ in range(runs)]
        results[suite] = statistics.median(measured / pure for pure, measured in pairs)
        results["forward_s"] = statistics.median(pure for pure, _ in pairs)
        results[f"{suite}, s for a pair"] = statistics.median(measured for _, measured in pairs) / (N * M)
    return results


def uncertainty_row(name: str, N: int, M: int, runs: int, device: torch.device, tile: int | None) -> dict[str, float]:
    """Of each suite, the time with intervals over samples to that without: the median of paired runs."""
    network, images, transformations = case(name, N, M, device)
    ratios: dict[str, float] = {}
    for suite, measures in SUITES.items():

        def work(uncertainty: bool, measures: list[str] | None = measures) -> None:
            ci.measure(network, images, transformations, measures, tile=tile, uncertainty=uncertainty)

        work(True)
        pairs = [(clock(lambda: work(False), device), clock(lambda: work(True), device)) for _ in range(runs)]
        ratios[suite] = statistics.median(there / without for without, there in pairs)
    return ratios


def tmeasures_cost(name: str, N: int, M: int, runs: int, device: torch.device) -> tuple[float, float] | None:
    """Of the author's library, NV alone: the same ratio, and seconds for a pair; None where it is not installed."""
    try:
        warnings.simplefilter("ignore")
        import tmeasures as tm
        from agreement import wrapped
    except ImportError:
        return None
    network, images, transformations = case(name, N, M, device)
    batches = best_batches(network, images, transformations, device)
    model, members = tm.pytorch.AutoActivationsModule(network), wrapped(transformations)
    options = tm.pytorch.PyTorchMeasureOptions(
        batch_size=max(25, min(N, 256)), verbose=False, model_device=device, measure_device=device
    )
    measure = tm.pytorch.NormalizedVarianceInvariance()

    def work() -> None:
        with torch.inference_mode():
            measure.eval(images, members, model, options)

    work()
    pairs = [(clock(lambda: forward(network, batches), device), clock(work, device)) for _ in range(runs)]
    ratio = statistics.median(measured / pure for pure, measured in pairs)
    return ratio, statistics.median(measured for _, measured in pairs) / (N * M)


def with_goal(value: float, goal: float | None, form: str = ".2f") -> str:
    return f"{value:{form}}" if goal is None else f"{value:{form}} ({goal})"


def peak(name: str, N: int, M: int, device: torch.device) -> float:
    """Peak memory, in GB, of a process that measures the whole suite."""
    command = [sys.executable, __file__, "--peak", name, "--samples", str(N), "--transformations", str(M)]
    return float(subprocess.run([*command, "--device", device.type], check=True, capture_output=True, text=True).stdout)


def print_peak(name: str, N: int, M: int, device: torch.device) -> None:
    network, images, transformations = case(name, N, M, device)
    ci.measure(network, images, transformations)
    gpu = torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else 0
    print(gpu or peak_memory() / 1e9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--samples", type=int, help="N; otherwise 5000 on a GPU, as many as take some seconds on a CPU")
    parser.add_argument("--transformations", type=int, default=25)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tile", type=int)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--tmeasures-samples", type=int, help="its N; otherwise 100 on a GPU, 8 on a CPU")
    parser.add_argument("--uncertainty", action="store_true", help="time intervals over samples, and nothing else")
    parser.add_argument("--peak", choices=list(NETWORKS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    if options.peak:
        print_peak(options.peak, options.samples, options.transformations, device)
        return
    compiled = "compiled loops" if c_loops.available(device) else "torch operations alone"
    print(
        f"{platform.machine()}, {device.type}, torch {torch.__version__}, {torch.get_num_threads()} threads, {compiled}"
    )
    print(f"M = {options.transformations}, median of {options.runs} paired runs\n")
    if options.uncertainty:
        print(f"| with intervals to without | N | {' | '.join(SUITES)} |\n{'|---' * (len(SUITES) + 2)}|")
        for name in options.networks:
            N, M = options.samples or (GPU_SAMPLES if device.type == "cuda" else SAMPLES[name]), options.transformations
            ratios = uncertainty_row(name, N, M, options.runs, device, options.tile)
            print(f"| {name} | {N} | {' | '.join(f'{ratio:.3f}' for ratio in ratios.values())} |", flush=True)
        return
    print(f"| ratio (goal) | N | {' | '.join(SUITES)} | tmeasures, NV | times as fast | forward | peak, N and 4 N |")
    print("|---" * (len(SUITES) + 6) + "|")
    for name in options.networks:
        N, M = options.samples or (GPU_SAMPLES if device.type == "cuda" else SAMPLES[name]), options.transformations
        *goals, faster = GOALS[device.type].get(name, NO_GOALS)
        result = row(name, N, M, options.runs, device, options.tile)
        cells = [with_goal(result[suite], goal) for suite, goal in zip(SUITES, goals, strict=True)]
        few = options.tmeasures_samples or TMEASURES_SAMPLES[device.type]
        theirs = tmeasures_cost(name, few, M, 2, device)
        if theirs is None:
            cells += ["not installed", "?"]
        else:
            ratio, seconds = theirs
            cells += [f"{ratio:.0f}", with_goal(seconds / result["NV, s for a pair"], faster, ".0f")]
        cells.append(f"{result['forward_s']:.2f} s")
        cells.append(" and ".join(f"{peak(name, n, M, device):.2f} GB" for n in (N, 4 * N)))
        print(f"| {name} | {N} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
