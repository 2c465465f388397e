"""Agreement with tmeasures, the author's library: a table of maximum relative differences per unit.

Both measure the same network on the same images; ``tmeasures`` is given this package's transformations and their
inverses. Units whose denominator is degenerate (below 1e-4 of the layer's largest: dead ones) are left out. Its PyTorch
part has the variances and Goodfellow's measure. The distances, ANOVA and the older form of Goodfellow's measure are
those of its NumPy part, which is given the whole ST matrix, sorted by class and in batches; here they are asked for by
the options that name the author's forms. Maps of one value are left out of the distances of unit norm: the author does
not normalise them.

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

BATCH = 4  # of the author's distances: 64 in his experiments, small here so that there are several
FEW = 256  # units of a layer up to which he is asked for distances of units: he takes one after the other
BATCHES = f"order=class,block_size={BATCH}"
MEASURES = {  # what is compared: how it is asked for
    **{name: name for name in ("TV", "SV", "NV", "TVSE", "SVSE", "NVSE")},
    **{name: f"{name}[alpha={{alpha}}]" for name in ("Goodfellow", "Goodfellow_L", "Goodfellow_G")},
    **{f"{name}, all": f"{name}[alpha={{alpha}},reference=all]" for name in ("Goodfellow", "Goodfellow_L")},
    **{name: f"{name}[{BATCHES}]" for name in ("TD", "SD", "ND", "TDSE", "SDSE", "NDSE")},
    **{f"{name} of units": f"{name}[per=unit,{BATCHES}]" for name in ("TD", "SD", "ND", "NDSE")},
    "NDSE, unit norm": f"NDSE[normalize=true,{BATCHES}]",
    "DSES": "DSES[form=forward]",
    "DSES, unit norm": "DSES[normalize=true,form=forward]",
    "ANOVA_F": "ANOVA_F",
    "ANOVA": "ANOVA[alpha={alpha},bonferroni=false]",
}
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
    # its deviation of a unit that never changes is the root of what rounding leaves: NaN where that is negative
    torch.distributions.Distribution.set_default_validate_args(False)
    result = goodfellow.eval(images, members, everything, options)
    values["Goodfellow"] = placed(result.layers, list(range(len(example))))
    for rate, key in (("Goodfellow_L", goodfellow.l_key), ("Goodfellow_G", goodfellow.g_key)):
        values[rate] = placed(result.extra_values[key].layers, list(range(len(example))))
    return values | of_numpy(everything, images, transformations, alpha)


def labels_of(N: int) -> torch.Tensor:
    """Three classes that are neither sorted nor taken in turn."""
    return torch.arange(N) * 7 // 4 % 3


def of_numpy(
    activations: nn.Module, images: torch.Tensor, transformations: AffineSet, alpha: float
) -> dict[str, list[np.ndarray | None]]:
    """What the NumPy part of ``tmeasures`` says of the whole ST matrix, its samples sorted by class."""
    import tmeasures.np as tm
    from tmeasures.np.aggregation import DistanceAggregation

    images, matrices = images[labels_of(len(images)).argsort(stable=True)], transformations.matrices
    with torch.no_grad():
        plain = activations.forward_activations(images)
        columns = [activations.forward_activations(column) for column in transform_all(images, matrices)]
    whole = [torch.stack(layer, 1) for layer in zip(*columns, strict=True)]  # of each layer (N, M, ...)
    maps = [k for k, layer in enumerate(whole) if layer.ndim == 5]
    undone, moved = [], []
    for k in maps:
        back = invert(matrices, whole[k].shape[-2:])
        undone.append(torch.cat([transform_all(whole[k][:, j], back[[j]]) for j in range(len(back))]).transpose(0, 1))
        moved.append(transform_all(plain[k], matrices).transpose(0, 1))
    everything, spatial = iterator_of(whole), iterator_of(undone)
    both = iterator_of([whole[k] for k in maps], moved)
    layers = len(whole)

    def said(measure: "tm.NumpyMeasure", iterator: object) -> list[np.ndarray | None]:
        at = range(layers) if iterator in (everything, few) else maps
        found = dict(zip(at, measure.eval(iterator).layers, strict=True))
        return [np.asarray(found[k], dtype=float) if k in found and found[k].size else None for k in range(layers)]

    kinds = {
        "": (tm.TransformationDistanceInvariance, tm.SampleDistanceInvariance),
        "SE": (tm.TransformationDistanceSameEquivariance, tm.SampleDistanceSameEquivariance),
    }
    values: dict[str, list[np.ndarray | None]] = {}
    few = iterator_of([layer if layer[0, 0].numel() <= FEW else layer[..., :0] for layer in whole])
    few_maps = iterator_of([layer if layer[0, 0].numel() <= FEW else layer[..., :0] for layer in undone])
    for suffix, (along_rows, along_columns) in kinds.items():
        for form in ("", " of units", ", unit norm"):
            iterator = (few_maps if suffix else few) if form == " of units" else spatial if suffix else everything
            aggregation = DistanceAggregation(form == ", unit norm", keep_shape=form != " of units")
            rows, columns = said(along_rows(aggregation), iterator), said(along_columns(aggregation), iterator)
            values |= {f"TD{suffix}{form}": rows, f"SD{suffix}{form}": columns}
            values[f"ND{suffix}{form}"] = [  # as his normalised measures divide
                None if row is None else tm.divide_activations([row], [column])[0]
                for row, column in zip(rows, columns, strict=True)
            ]
    for form, normalize in (("", False), (", unit norm", True)):
        values[f"DSES{form}"] = said(tm.DistanceSameEquivarianceSimple(tm.DistanceFunction(normalize)), both)
    values["ANOVA_F"] = said(tm.ANOVAFInvariance(), everything)
    values["ANOVA"] = said(tm.ANOVAInvariance(alpha, bonferroni=False), everything)
    values["ANOVA, his correction"] = said(tm.ANOVAInvariance(alpha, bonferroni=True), everything)
    older = tm.GoodfellowNormalInvariance(alpha)
    values["Goodfellow, all"] = said(older, everything)
    values["Goodfellow_L, all"] = [  # G is 1 - alpha
        None if value is None else value * (1 - alpha) for value in values["Goodfellow, all"]
    ]
    return values


def iterator_of(matrix: list[torch.Tensor], other: list[torch.Tensor] | None = None) -> object:
    """The whole ST matrix of every layer, (N, M, ...), behind the interface of ``tmeasures``, in batches.

    other: the second of the pair that the simple form of same-equivariance compares
    """
    from tmeasures.np.activations_iterator import ActivationsIterator

    pair = [[layer.double().numpy() for layer in layers] for layers in (matrix, other) if layers is not None]
    N, M = pair[0][0].shape[:2]

    def batches(n: int) -> list[slice]:
        return [slice(start, start + BATCH) for start in range(0, n, BATCH)]

    class Whole(ActivationsIterator):
        def get_transformations(self) -> list[int]:
            return list(range(M))

        def layer_names(self) -> list[str]:
            return [str(k) for k in range(len(pair[0]))]

        def transformations_first(self):
            for j in range(M):
                yield (
                    j,
                    ((np.empty(len(range(N)[few])), [layer[few, j].copy() for layer in pair[0]]) for few in batches(N)),
                )

        def samples_first(self):
            for i in range(N):
                yield i, ((few, *([layer[i, few].copy() for layer in layers] for layers in pair)) for few in batches(M))

        def get_inverted_activations_iterator(self) -> "Whole":
            return self  # it was given what is already undone

        get_both_iterator = get_normal_activations_iterator = get_inverted_activations_iterator

    return Whole()


def ours(
    network: nn.Module, images: torch.Tensor, transformations: AffineSet, alpha: float = 0.99
) -> dict[str, list[np.ndarray | None]]:
    """What this package says."""
    requests = [request.format(alpha=alpha) for request in MEASURES.values()]
    result = ci.measure(network, images, transformations, requests, labels_of(len(images)))
    found = dict(zip(MEASURES, result.values.values(), strict=True))
    flat = {  # as tmeasures has them: units of maps in a row, and of small layers
        name: [v.ravel() if v is not None and v.size <= FEW else None for v in values]
        for name, values in found.items()
        if "of units" in name
    }
    return found | flat


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


DENOMINATORS = {
    **{"NV": "SV", "NVSE": "SVSE", "ND": "SD", "NDSE": "SDSE", "ND of units": "SD of units"},
    **{"NDSE of units": "SDSE of units", "NDSE, unit norm": "SDSE, unit norm"},
    **{"Goodfellow": "Goodfellow_G", "Goodfellow_L": "Goodfellow_G"},
}
"""By which values it is judged whether a unit is degenerate; a measure's own where none are named."""


def differences(mine: dict, other: dict) -> dict[str, float]:
    """For each measure the largest relative difference; rates are compared on every unit that fires."""
    return {name: difference(mine[name], other[name], other[DENOMINATORS.get(name, name)]) for name in MEASURES}


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
        for k, units_of_layer in enumerate(mine["TV"]):  # which the author does not normalise
            if units_of_layer.ndim == 3 and units_of_layer[0].size == 1:
                mine["NDSE, unit norm"][k] = other["NDSE, unit norm"][k] = None
        ties, units = tied(mine, other, len(images) * len(transformations))
        row = differences(mine, other)
        notes.append(f"{name}: {ties} of {units:,}")
        print(f"| {name} | " + " | ".join(f"{row[measure]:.1e}" for measure in MEASURES) + " |", flush=True)
    print(f"\nUnits left out of Goodfellow's columns, as one pair is at the threshold to float32: {'; '.join(notes)}.")


if __name__ == "__main__":
    main()
