"""What the measures of other authors cost on ResNet18: operations counted, and time, beside the bare forward pass.

    python benchmarks/others.py [--samples 16] [--members 25] [--size 224] [--repeats 3]

Operations are those of matrix products and convolutions as PyTorch counts them (floating-point operations; one in
float64 counts as one). Times are of turns of both in one process, the smallest of each: other work on the machine
changes a time, but not a count. What is computed once at the end of a pass (decompositions of moments) does not grow
with the number of samples, and is given apart. ``--repeats 0`` counts alone.
"""

import argparse
import time

import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet18

import cnn_invariance as ci
from cnn_invariance.transformations import rotation

OTHERS = [
    "FittedResidual", "FittedResidual[centred=true]", "ProcrustesResidual", "CKA", "ChannelMatch", "Correlation",
    "GEED", "GEED[metric=cosine]", "GEED_invariance", "SEIS_equivariance", "SEIS_invariance",
    "Consistency", "TopChange", "TopProbabilityChange", "OutputKL",
]  # fmt: skip


def of_product(total: torch.Size, left: torch.Size, right: torch.Size, **_: object) -> int:
    """Operations of a product of matrices that is added in place, which PyTorch's counter does not know."""
    return 2 * left.numel() * right[-1]


IN_PLACE = {torch.ops.aten.addmm_: of_product, torch.ops.aten.baddbmm_: of_product}


def main() -> None:
    """Count, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("samples", 16), ("members", 25), ("size", 224), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    torch.manual_seed(0)
    network = resnet18().eval()
    members = rotation(n=given.members, closed=False)
    images = torch.randn(given.samples, 3, given.size, given.size)
    moved = images.repeat(given.members, 1, 1, 1)

    def bare() -> None:
        with torch.inference_mode():
            for part in moved.split(given.members):
                network(part)

    def measured(samples: int = given.samples) -> None:
        ci.measure(network, images[:samples], members, OTHERS, tile=4)

    counts = {}
    for name, work in (("bare", bare), ("measured", measured), ("half", lambda: measured(given.samples // 2))):
        with FlopCounterMode(display=False, custom_mapping=IN_PLACE) as counter:
            work()
        counts[name] = counter.get_total_flops()
    per_sample = (counts["measured"] - counts["half"]) / (given.samples - given.samples // 2)
    forward = counts["bare"] / given.samples
    print(
        f"operations for each sample under {given.members} transformations: bare pass {forward / 1e9:.1f} G, ", end=""
    )
    print(f"with the measures {per_sample / 1e9:.1f} G: {(per_sample - forward) / forward:.2f} bare passes more")
    if not given.repeats:
        return
    times: dict[str, list[float]] = {"bare": [], "measured": [], "half": []}
    for _ in range(given.repeats):
        for name, work in (("bare", bare), ("measured", measured), ("half", lambda: measured(given.samples // 2))):
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    least = {name: min(found) for name, found in times.items()}
    each = (least["measured"] - least["half"]) / (given.samples - given.samples // 2)
    bare_each = least["bare"] / given.samples
    once = least["measured"] - each * given.samples
    print(f"time for each sample: bare {bare_each:.3f} s, with the measures {each:.3f} s: ", end="")
    print(f"{each / bare_each - 1:.2f} bare passes more; once for the whole pass: {once:.1f} s")


if __name__ == "__main__":
    main()
