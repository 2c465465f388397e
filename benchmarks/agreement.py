"""Agreement with tmeasures, the author's library: a table of maximum relative differences per unit.

Both measure the same network on the same images; ``tmeasures`` is given this package's transformations and their
inverses. Units whose denominator is degenerate (below 1e-4 of the layer's largest: dead ones) are left out.

    python benchmarks/agreement.py > agreement.md
    python benchmarks/agreement.py --float32       activations as networks compute them, and the same for both libraries
"""

import argparse
import warnings

import numpy as np
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance import models
from cnn_invariance.transformations import AffineSet, invert, product, rotation, scale
from cnn_invariance.transformations.warp import transform_all

MEASURES = ("TV", "SV", "NV", "TVSE", "SVSE", "NVSE", "Goodfellow", "Goodfellow_L", "Goodfellow_G")
NETWORKS = {
    "SimpleConv": ({"width": 4, "dense": 16}, (1, 16, 16)),
    "AllConvolutional": ({"width": 4}, (1, 16, 16)),
    "VGG16D": ({"width": 4, "dense": 16}, (3, 16, 16)),
    "ResNet18": ({"width": 4}, (3, 16, 16)),
}
DEGENERATE = 1e-4


def wrapped(transformations: AffineSet) -> list:
    """This package's affine maps behind the interface of ``tmeasures``."""
    import tmeasures as tm

    class Map(tm.pytorch.PyTorchTransformation, tm.InvertibleTransformation):
        def __init__(self, matrix: np.ndarray) -> None:
            super().__init__()
            self.matrix = matrix

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return transform_all(image[None], self.matrix[None])[0, 0]

        def __call__(self, image: torch.Tensor) -> torch.Tensor:
            return self.forward(image)

        def parameters(self, recurse: bool = True) -> torch.Tensor:
            return torch.from_numpy(self.matrix)

        def inverse(self) -> "Map":
            return Map(invert(self.matrix[None])[0])

    class Maps(tm.pytorch.PyTorchTransformationSet):
        def copy(self) -> "Maps":
            return Maps(list(self))

    return Maps([Map(matrix) for matrix in transformations.matrices])


def theirs(
    network: nn.Module, images: torch.Tensor, transformations: AffineSet, alpha: float = 0.99
) -> dict[str, list[np.ndarray | None]]:
    """What ``tmeasures`` says: each measure's values by layer, in this package's order; None where it has none."""
    import tmeasures as tm

    options = tm.pytorch.PyTorchMeasureOptions(batch_size=8, verbose=False)
    members = wrapped(transformations)
    everything = tm.pytorch.AutoActivationsModule(network)
    example = everything.forward_activations(images[:1])
    maps = [k for k, values in enumerate(example) if values.ndim == 4]
    spatial = tm.pytorch.AutoActivationsModule(network)
    spatial.names, spatial.activations = ([items[k] for k in maps] for items in (spatial.names, spatial.activations))
    spatial.forward_activations = lambda x: [everything.forward_activations(x)[k] for k in maps]

    def placed(layers: list[torch.Tensor], at: list[int]) -> list[np.ndarray | None]:
        found = {k: values.double().numpy() for k, values in zip(at, layers, strict=True)}
        return [found.get(k) for k in range(len(example))]

    values: dict[str, list[np.ndarray | None]] = {}
    for kind, model, at in (("Invariance", everything, list(range(len(example)))), ("SameEquivariance", spatial, maps)):
        suffix = "" if kind == "Invariance" else "SE"
        result = getattr(tm.pytorch, f"NormalizedVariance{kind}")().eval(images, members, model, options)
        values[f"TV{suffix}"] = placed(result.x_result.layers, at)
        values[f"SV{suffix}"] = placed(result.y_result.layers, at)
        values[f"NV{suffix}"] = placed(result.layers, at)
    threshold = tm.pytorch.NormalPValueThreshold(sign=1, alpha=alpha)
    goodfellow = tm.pytorch.GoodfellowInvariance(threshold_algorithm=threshold)
    result = goodfellow.eval(images, members, everything, options)
    values["Goodfellow"] = placed(result.layers, list(range(len(example))))
    for rate, key in (("Goodfellow_L", goodfellow.l_key), ("Goodfellow_G", goodfellow.g_key)):
        values[rate] = placed(result.extra_values[key].layers, list(range(len(example))))
    return values


def ours(
    network: nn.Module, images: torch.Tensor, transformations: AffineSet, alpha: float = 0.99
) -> dict[str, list[np.ndarray | None]]:
    """What this package says."""
    requests = [f"{name}[alpha={alpha}]" if name.startswith("Goodfellow") else name for name in MEASURES]
    result = ci.measure(network, images, transformations, requests)
    return dict(zip(MEASURES, result.values.values(), strict=True))


def difference(mine: list[np.ndarray | None], other: list[np.ndarray | None], scale: list[np.ndarray | None]) -> float:
    """The largest relative difference of any unit of any layer; ``scale`` says which denominators degenerate."""
    largest = 0.0
    for one, two, denominator in zip(mine, other, scale, strict=True):
        if one is None or two is None or denominator is None:
            if one is not two:
                raise ValueError("a measure has a value on a layer for one of the libraries only")
            continue
        kept = (denominator > DEGENERATE * denominator.max()) & np.isfinite(two)
        if kept.any():
            floor = max(DEGENERATE * np.abs(two[kept]).max(), np.finfo(float).tiny)
            relative = np.abs(one - two)[kept] / np.maximum(np.abs(two[kept]), floor)
            largest = float(np.maximum(largest, relative.max()))  # NaN stays
    return largest


def tied(mine: dict, other: dict, pairs: int) -> tuple[int, int]:
    """Take the units where the rates differ by a single pair out of both results; how many, of how many."""
    out = total = 0
    for k, (one, two) in enumerate(zip(mine["Goodfellow_L"], other["Goodfellow_L"], strict=True)):
        tie = np.round(np.abs(one - two) * pairs) == 1
        out, total = out + int(tie.sum()), total + tie.size
        for name in ("Goodfellow", "Goodfellow_L"):
            mine[name][k][tie] = other[name][k][tie] = np.nan
    return out, total


DENOMINATORS = {"TV": "TV", "TVSE": "TVSE", "SV": "SV", "NV": "SV", "SVSE": "SVSE", "NVSE": "SVSE"}


def differences(mine: dict, other: dict) -> dict[str, float]:
    """For each measure the largest relative difference; rates are compared on every unit that fires."""
    return {
        name: difference(mine[name], other[name], other[DENOMINATORS.get(name, "Goodfellow_G")]) for name in MEASURES
    }


def case(name: str, N: int, M: int) -> tuple[nn.Module, torch.Tensor, AffineSet]:
    """A random network through which signals survive, noise images, rotations and a squeezed one.

    In double precision, so that both libraries see the same activations whatever their batches.
    """
    arguments, shape = NETWORKS[name]
    torch.manual_seed(0)
    network = models.build(name, shape, 10, **arguments).eval().double()
    for weight in network.parameters():
        if weight.ndim > 1:
            nn.init.kaiming_normal_(weight)
    images = torch.randn(N, *shape, generator=torch.Generator().manual_seed(1)).double()
    turns = rotation(n=M, angle_deg=300)
    squeezed = product(rotation(n=2, angle_deg=50), scale(n=1, low=0.7, high=1.2))
    matrices = np.concatenate([turns.matrices, squeezed.matrices[[8]]])
    return network, images, AffineSet("rotations and a squeezed one", {}, matrices)


class OneByOne(nn.Module):
    """A layer that gives an image the same bits in every batch and memory format: it sees each image alone."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = (layer,)  # not a child: this is the leaf that both libraries observe

    def forward(self, *batches: torch.Tensor) -> torch.Tensor:
        (layer,) = self.layer
        images = zip(*(batch.split(1) for batch in batches), strict=True)
        return torch.cat([layer(*(each.contiguous() for each in image)) for image in images])


def one_by_one(network: nn.Module) -> nn.Module:
    """The network with every leaf replaced by itself, one by one."""
    for name, child in network.named_children():
        setattr(network, name, one_by_one(child) if any(child.children()) else OneByOne(child))
    return network


def in_float32(name: str, N: int, M: int) -> dict[str, tuple[nn.Module, torch.Tensor, AffineSet]]:
    """A network of default initialisation, whose spreads are tiny, as it is and with the same bits in every batch."""
    _, images, transformations = case(name, N, M)
    arguments, shape = NETWORKS[name]
    cases = {}
    for how, change in (("in batches", lambda network: network), ("one by one", one_by_one)):
        torch.manual_seed(0)
        network = change(models.build(name, shape, 10, **arguments).eval()).eval()
        cases[f"{name}, {how}"] = network, images.float(), transformations
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--transformations", type=int, default=6)
    parser.add_argument("--alpha", type=float, default=0.9, help="Goodfellow's; at 0.99 few units of 40 samples fire")
    parser.add_argument("--float32", action="store_true", help="float32 networks of default initialisation")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")  # tmeasures pins memory without a GPU
    print("| network | " + " | ".join(MEASURES) + " |")
    print("|---" * (len(MEASURES) + 1) + "|")
    notes = []
    cases = {}
    for name in options.networks:
        size = name, options.samples, options.transformations
        cases |= in_float32(*size) if options.float32 else {name: case(*size)}
    for name, (network, images, transformations) in cases.items():
        arguments = network, images, transformations, options.alpha
        mine, other = ours(*arguments), theirs(*arguments)
        ties, units = tied(mine, other, len(images) * len(transformations))
        row = differences(mine, other)
        notes.append(f"{name}: {ties} of {units:,}")
        print(f"| {name} | " + " | ".join(f"{row[measure]:.1e}" for measure in MEASURES) + " |", flush=True)
    print(f"\nUnits left out of Goodfellow's columns, as one pair is at the threshold to float32: {'; '.join(notes)}.")


if __name__ == "__main__":
    main()
