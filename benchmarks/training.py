"""How near training comes to the bare network: paired throughputs, in one process.

The whole step of a training (samples taken out of the dataset, normalised, each under its own rotation; forward,
backward, optimiser) against the bare forward and backward pass of the same network on one batch of random images that
lies on the device, same batch size and precision, captured as a graph on CUDA as the step is. Runs alternate; the
median of the paired ratios is shown. Then several such trainings at once, each in a process of its own: what they
reach together, in images a second and in networks an hour.

    python benchmarks/training.py                                   the table, in Markdown
    python benchmarks/training.py --precision bf16 --at-once 1 2 6  on a GPU
"""

import argparse
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from clock import clock
from torch import Tensor

from cnn_invariance import devices
from cnn_invariance.datasets import Dataset
from cnn_invariance.study import DatasetSpec, ModelSpec, Recipe, Scalar, SetSpec, TrainSpec
from cnn_invariance.training.captured import Captured
from cnn_invariance.training.learner import Learner

NETWORKS: dict[str, tuple[str, dict[str, Scalar], tuple[int, int, int]]] = {
    "SimpleConv, MNIST": ("SimpleConv", {"width": 32, "dense": 64}, (1, 28, 28)),
    "SimpleConv, CIFAR-10": ("SimpleConv", {"width": 128, "dense": 128}, (3, 32, 32)),
    "AllConvolutional, CIFAR-10": ("AllConvolutional", {"width": 64}, (3, 32, 32)),
    "VGG16D, CIFAR-10": ("VGG16D", {"width": 64, "dense": 512}, (3, 32, 32)),
    "ResNet18, CIFAR-10": ("ResNet18", {"width": 64}, (3, 32, 32)),
}
NARROW = {"width": 8}
ROTATION = SetSpec(name="rotation", parameters={"n": 25, "angle_deg": 360.0})
EPOCHS = {"SimpleConv": 88, "AllConvolutional": 141, "VGG16D": 106, "ResNet18": 141}
"""Of the author on CIFAR-10, with an augmentation of 25 transformations."""


def learner(case: str, narrow: bool, precision: str, images: int, device: torch.device) -> Learner:
    """A training of random images: as many in an epoch as asked for."""
    name, arguments, shape = NETWORKS[case]
    generator = np.random.default_rng(0)
    splits = {"train": np.arange(images), "validation": np.arange(images, images + 10), "test": np.arange(0)}
    splits["test"] = np.arange(images + 10, images + 20)
    pixels = generator.integers(0, 256, (images + 20, *shape), dtype=np.uint8)
    labels = np.arange(images + 20) % 10
    data = Dataset.create("random", pixels, labels, splits, tuple("0123456789"))
    spec = TrainSpec(
        dataset=DatasetSpec(name="random", fingerprint=data.fingerprint),
        model=ModelSpec(name=name, arguments=NARROW if narrow else arguments),
        augmentation=ROTATION,
        recipe=Recipe(learning_rate=1e-4, epochs=1, accuracy_floor=0, precision=precision),
        seed=0,
    )
    return Learner(spec, data, device)


def bare(training: Learner) -> Callable[[], None]:
    """As many forward and backward passes on one random batch as an epoch has steps."""
    recipe, device = training.recipe, training.device
    random = torch.randn(recipe.batch_size, *training.data.input_shape, device=device)
    random = random.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(recipe.batch_size, device=device) % 10

    def step(taken: Tensor, prepared: Tensor | None) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            output = training.model(random)
        loss = F.cross_entropy(output.float(), labels)
        for weights in training.model.parameters():
            weights.grad = None
        loss.backward()
        return loss.detach()

    run: Callable[[Tensor, None], Tensor] = Captured(step, device) if device.type == "cuda" else step

    def epoch() -> None:
        training.model.train()
        for _ in range(training.steps):
            run(labels, None)

    return epoch


def ratio(training: Learner, runs: int) -> tuple[float, float]:
    """Images a second of a training, and its throughput as a share of the bare network's."""
    passes, epochs = bare(training), iter(range(1, runs + 2))
    train = lambda: training.run_epoch(next(epochs), lambda: None)  # noqa: E731
    passes()
    train()
    pairs = [(clock(passes, training.device), clock(train, training.device)) for _ in range(runs)]
    images = training.epoch_samples
    return statistics.median(images / ours for _, ours in pairs), statistics.median(pure / ours for pure, ours in pairs)


def together(case: str, count: int, options: argparse.Namespace) -> float:
    """Images a second of several trainings at once, in a process each: counted from when all are warm."""
    command = [sys.executable, __file__, "--child", case, "--precision", options.precision, "--device", options.device]
    command += ["--images", str(options.images), "--runs", str(options.runs), "--threads", "1"]
    command += ["--narrow"] if options.narrow else []
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    pipes = [(child.stdin, child.stdout) for child in children]
    for _, answers in pipes:
        assert answers is not None
        assert answers.readline() == "warm\n"
    for orders, _ in pipes:
        assert orders is not None
        orders.write("go\n")
        orders.flush()
    rates = [float(answers.readline()) for _, answers in pipes if answers is not None]
    for child in children:
        child.communicate()
    return sum(rates)


def child(options: argparse.Namespace, device: torch.device) -> None:
    training = learner(options.child, options.narrow, options.precision, options.images, device)
    training.run_epoch(1, lambda: None)
    print("warm", flush=True)
    sys.stdin.readline()
    taken = clock(lambda: [training.run_epoch(epoch, lambda: None) for epoch in range(2, options.runs + 2)], device)
    print(training.epoch_samples * options.runs / taken, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--narrow", action="store_true", help="8 filters wide, as the presets for a CPU have them")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "tf32", "bf16"])
    parser.add_argument("--images", type=int, help="of an epoch")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--at-once", type=int, nargs="*", default=[], help="numbers of trainings at once")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--child", choices=list(NETWORKS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    device = torch.device(options.device)
    options.images = options.images or (64 * 400 if device.type == "cuda" else 64 * 10)
    if options.threads:
        torch.set_num_threads(options.threads)
    at = "tf32" if options.precision == "tf32" else "fp32"
    with devices.repeatable(device, options.threads), devices.at_precision(at, device):
        if options.child:
            child(options, device)
            return
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
        print(f"{name}, torch {torch.__version__}, {torch.get_num_threads()} threads, {options.precision}, batch 64")
        print(f"median of {options.runs} paired runs of {options.images:,} images, each under a rotation of its own")
        print("networks / h: of the author's epochs on CIFAR-10\n")
        at_once = [f"{count} at once, images / s (networks / h)" for count in options.at_once]
        print(f"| network | images / s | of the bare network's | {' | '.join([*at_once, ''])}".rstrip())
        print("|---" * (3 + len(at_once)) + "|")
        for case in options.networks:
            rate, share = ratio(learner(case, options.narrow, options.precision, options.images, device), options.runs)
            cells = [f"{rate:,.0f}", f"{share:.0%}"]
            for count in options.at_once:
                reached = together(case, count, options)
                hourly = 3600 * reached / (EPOCHS[NETWORKS[case][0]] * 45_000)
                cells.append(f"{reached:,.0f} ({hourly:.1f})")
            print(f"| {case} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
