"""Which layers are found in the networks of torchvision, timm and escnn, and whether their values are right.

    python benchmarks/networks.py                    print the table of the libraries that are installed
    python benchmarks/networks.py --into docs/networks.md
    python benchmarks/networks.py --only timm:vit,timm:swin    networks whose name begins so

Every network has random weights from one seed, in float64, and is measured on a few random images under quarter turns.
Of each, some layers are computed a second time from the definitions of NV and NVSE, in float64 NumPy, on activations
that a plain forward hook of one image at a time takes from the network itself. The layers are drawn evenly over the
depth. The largest relative difference is in the table: of units that vary by more than a thousandth of their level, and
of all units. A measure is of activations in float32, so about 1e-6 is rounding, and a unit that varies less than the
last place of its level has no value that could agree.

escnn needs NumPy 1 and a Fortran compiler, and so an environment of its own, see docs/networks.md.
"""

import argparse
import importlib.util
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import cnn_invariance as ci
from cnn_invariance.activations import Layer
from cnn_invariance.measures import MeasureResult
from cnn_invariance.roles import tensors_of
from cnn_invariance.transformations.warp import transform_all

SAMPLES, SIDE = 3, 64
CHECKED = 6  # layers of a network
LEVEL = 1e-3  # units whose spread is at least this share of their mean are compared by themselves
RARE = 1e-3  # units whose denominator is less than this share of the layer's largest are left out of the comparison
QUARTERS = ci.transformations.rotation(n=4, closed=False)

TORCHVISION = (
    *("alexnet", "vgg11_bn", "resnet18", "resnext50_32x4d", "wide_resnet50_2", "densenet121", "googlenet"),
    *("inception_v3", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "mnasnet0_5"),
    *("efficientnet_b0", "regnet_x_400mf", "convnext_tiny", "vit_b_32", "swin_t", "swin_v2_t", "maxvit_t"),
    *("segmentation.lraspp_mobilenet_v3_large", "segmentation.fcn_resnet50"),
)
TIMM = (
    *(
        "resnet18",
        "resnetv2_50",
        "efficientnet_lite0",
        "tf_efficientnetv2_b0",
        "mobilenetv4_conv_small",
        "mobileone_s0",
    ),
    *("convnext_atto", "convnextv2_atto", "regnety_002", "ghostnet_100", "hrnet_w18_small", "res2net50_26w_4s"),
    *("dla34", "vovnet39a", "nfnet_l0", "edgenext_xx_small", "repvgg_a0", "fastvit_t8", "poolformer_s12"),
    *(
        "vit_tiny_patch16_224",
        "deit_tiny_patch16_224",
        "beit_base_patch16_224",
        "cait_xxs24_224",
        "xcit_nano_12_p16_224",
    ),
    *("swin_tiny_patch4_window7_224", "pvt_v2_b0", "levit_128s", "mobilevit_xxs", "coatnet_nano_rw_224"),
    *("mixer_s32_224", "resmlp_12_224", "gmlp_s16_224", "volo_d1_224", "tiny_vit_5m_224", "efficientformer_l1"),
)
FIXED = {"vit_b_32": 224, "swin_v2_t": 64, "maxvit_t": 224, "inception_v3": 96}
"""Sides of images that a network of torchvision asks for."""


@dataclass(frozen=True)
class Row:
    """What is said of one network."""

    name: str
    size: int
    layers: int
    same_equivariance: int
    reasons: dict[str, int]  # why layers have none, and how many
    skipped: dict[str, int]  # why modules are no layers, and how many
    checked: int
    differs: tuple[float, float]  # the largest relative difference of NV and NVSE: units that vary, and all units
    seconds: float
    error: str = ""


def torchvision_network(name: str) -> tuple[nn.Module, int]:
    """A network of torchvision, and the side of its images."""
    import torchvision

    side = FIXED.get(name, SIDE)
    if name.startswith("segmentation."):
        part = torchvision.models.get_model(name.removeprefix("segmentation."), weights=None, weights_backbone=None)
        return part, side
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, weights=None, **options), side


def timm_network(name: str) -> tuple[nn.Module, int]:
    """A network of timm, and the side of its images: 64 where it takes them, else its own."""
    import timm

    size = timm.create_model(name, pretrained=False, num_classes=10).default_cfg.get("input_size", (3, SIDE, SIDE))
    own = int(size[-1])
    fixed = bool(timm.create_model(name, pretrained=False).default_cfg.get("fixed_input_size"))
    side = own if fixed else SIDE
    return timm.create_model(name, pretrained=False, num_classes=10), side


def escnn_networks() -> dict[str, Callable[[], tuple[nn.Module, int]]]:
    """Networks that are equivariant to rotations, with fields that the images are wrapped in and that are unwrapped."""
    from escnn import gspaces
    from escnn import nn as enn

    class Steerable(nn.Module):
        """Two convolutions with batch normalisation, pooled over the group and over the map."""

        def __init__(self, space: gspaces.GSpace, kernel: int = 5) -> None:
            super().__init__()
            self.before = enn.FieldType(space, [space.trivial_repr])
            fields = [enn.FieldType(space, n * [space.regular_repr]) for n in (4, 6)]
            self.conv1 = enn.R2Conv(self.before, fields[0], kernel, padding=kernel // 2, bias=False)
            self.norm1 = enn.InnerBatchNorm(fields[0])
            self.act1 = enn.ReLU(fields[0], inplace=True)
            self.pool1 = enn.PointwiseAvgPoolAntialiased(fields[0], sigma=0.66, stride=2)
            self.conv2 = enn.R2Conv(fields[0], fields[1], kernel, padding=kernel // 2, bias=False)
            self.norm2 = enn.InnerBatchNorm(fields[1])
            self.act2 = enn.ELU(fields[1], inplace=True)
            self.group = enn.GroupPooling(fields[1])
            self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 10))

        def forward(self, x: Tensor) -> Tensor:
            field = enn.GeometricTensor(x, self.before)
            field = self.pool1(self.act1(self.norm1(self.conv1(field))))
            return self.head(self.group(self.act2(self.norm2(self.conv2(field)))).tensor)

    class Norms(nn.Module):
        """Fields of irreducible representations, with nonlinearities of their norms."""

        def __init__(self, space: gspaces.GSpace) -> None:
            super().__init__()
            self.before = enn.FieldType(space, [space.trivial_repr])
            fields = enn.FieldType(space, 3 * [space.irrep(0), space.irrep(1)])
            self.conv = enn.R2Conv(self.before, fields, 5, padding=2)
            self.act = enn.NormNonLinearity(fields)
            self.conv2 = enn.R2Conv(fields, enn.FieldType(space, 4 * [space.trivial_repr]), 5, padding=2)
            self.head = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, 10))

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.conv2(self.act(self.conv(enn.GeometricTensor(x, self.before)))).tensor)

    return {
        "C4, regular fields": lambda: (Steerable(gspaces.rot2dOnR2(4)), 33),
        "C8, regular fields": lambda: (Steerable(gspaces.rot2dOnR2(8)), 33),
        "D4, regular fields": lambda: (Steerable(gspaces.flipRot2dOnR2(4)), 33),
        "SO(2), irreducible fields": lambda: (Norms(gspaces.rot2dOnR2(-1, maximum_frequency=2)), 33),
    }


def networks() -> dict[str, Callable[[], tuple[nn.Module, int]]]:
    """How to make each network of the libraries that are installed, by its name."""
    found: dict[str, Callable[[], tuple[nn.Module, int]]] = {}
    if importlib.util.find_spec("torchvision"):
        found |= {f"torchvision:{name}": lambda name=name: torchvision_network(name) for name in TORCHVISION}  # type: ignore[misc]
    if importlib.util.find_spec("timm"):
        found |= {f"timm:{name}": lambda name=name: timm_network(name) for name in TIMM}  # type: ignore[misc]
    if importlib.util.find_spec("escnn"):
        found |= {f"escnn: {name}": make for name, make in escnn_networks().items()}
    return found


def row(name: str, make: Callable[[], tuple[nn.Module, int]]) -> Row:
    """Measure one network."""
    torch.manual_seed(0)
    start = time.monotonic()
    network, side = make()
    network.eval()
    if not name.startswith("escnn"):  # which keeps some of its filters in float32
        network.double()
    channels = 1 if name.startswith("escnn") else 3
    images = torch.randn(SAMPLES, channels, side, side, generator=torch.Generator().manual_seed(1))
    images = images.double() if not name.startswith("escnn") else images
    try:
        result = ci.measure(network, images, QUARTERS, ["NV", "NVSE"])
    except ci.InputError as error:
        return Row(name, side, 0, 0, {}, {}, 0, (0.0, 0.0), time.monotonic() - start, str(error))
    checked, differs = agreement(network, images, result)
    absent = result.absent("NVSE")
    return Row(
        name,
        side,
        len(result.layers),
        len(result.layers) - len(absent),
        _counted(absent.values()),
        _counted(result.skipped.values()),
        checked,
        differs,
        time.monotonic() - start,
    )


def _counted(reasons: "Iterator[str] | object") -> dict[str, int]:
    found: dict[str, int] = {}
    for reason in reasons:  # type: ignore[attr-defined]
        short = str(reason)
        if short.startswith("it hands on what "):
            short = "it hands on what the layer before returned"
        found[short] = found.get(short, 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def agreement(network: nn.Module, images: Tensor, result: MeasureResult) -> tuple[int, tuple[float, float]]:
    """How many layers were computed a second time, and the largest relative differences of NV and NVSE."""
    places = np.unique(np.linspace(0, len(result.layers) - 1, CHECKED).astype(int))
    chosen = [result.layers[k] for k in places]
    names = {layer.name for layer in chosen}
    columns = transform_all(images, QUARTERS.matrices)  # (M, N, C, H, W)
    seen: dict[str, list[list[Tensor]]] = {name: [] for name in names}
    for member in columns:
        for one in member:
            for name, tensor in hooked(network, one[None], names).items():
                if len(seen[name]) == 0 or len(seen[name][-1]) == len(images):
                    seen[name].append([])
                seen[name][-1].append(tensor)
    checked, worst = 0, np.zeros(2)
    for layer in chosen:
        if not seen[layer.name]:
            continue
        matrix = torch.stack([torch.stack(member) for member in seen[layer.name]])  # (M, N, 1, ...)
        shaped = as_seen(matrix.flatten(0, 2) if matrix.shape[2] == 1 else matrix.flatten(0, 1), layer)
        if shaped is None:
            continue
        checked += 1
        activations = shaped.reshape(len(columns), len(images), *layer.shape).double()
        worst = np.maximum(worst, differences(result["NV"][layer.name], activations.numpy()))
        if layer.name in result["NVSE"]:
            undone = torch.stack(
                [transform_all(maps, inverse[None])[0] for maps, inverse in zip(activations, inverses(), strict=True)]
            )
            worst = np.maximum(worst, differences(result["NVSE"][layer.name], undone.numpy()))
    return checked, (float(worst[0]), float(worst[1]))


def inverses() -> NDArray[np.float64]:
    """Of quarter turns: the turns in the other direction."""
    return np.linalg.inv(np.concatenate([QUARTERS.matrices, np.tile([[[0.0, 0.0, 1.0]]], (4, 1, 1))], 1))[:, :2].round()


def hooked(network: nn.Module, image: Tensor, names: set[str]) -> dict[str, Tensor]:
    """What the modules return for one image, by plain forward hooks, copied, by the name of the layer."""
    seen: dict[str, Tensor] = {}
    calls: dict[str, int] = {}

    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        def keep(module: nn.Module, given: object, output: object) -> None:
            calls[name] = calls.get(name, 0) + 1
            for suffix, tensor in tensors_of(output):
                key = f"{name}{f'#{calls[name]}' if calls[name] > 1 else ''}{suffix}"
                if key in names:
                    seen[key] = tensor.detach().clone()

        return keep

    handles = [module.register_forward_hook(hook(name)) for name, module in network.named_modules() if name]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            network(image)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for handle in handles:
            handle.remove()
    return seen


def as_seen(tensor: Tensor, layer: Layer) -> Tensor | None:
    """Activations (B, ...) in the order of the layer's shape, where that is plain from the sizes alone; else None."""
    shape = tuple(tensor.shape[1:])
    if shape == layer.shape:
        return tensor
    if len(shape) == 3 and len(layer.shape) == 3 and (shape[2], shape[0], shape[1]) == layer.shape:
        return tensor.permute(0, 3, 1, 2)  # features last
    if len(shape) == 2 and len(layer.shape) == 3:
        features, grid = layer.shape[0], layer.shape[1:]
        if shape == (grid[0] * grid[1], features):
            return tensor.transpose(1, 2).unflatten(2, grid)
        if shape == (grid[0] * grid[1] + 1, features):
            return tensor[:, 1:].transpose(1, 2).unflatten(2, grid)
    return None


def quotient(activations: NDArray[np.float64]) -> NDArray[np.float64]:
    """NV of (M, N, ...): the spread along transformations over that along samples; NaN where the latter is rare."""
    along_samples = activations.std(1, ddof=1).mean(0)
    along_transformations = activations.std(0, ddof=1).mean(0)
    known = along_samples > RARE * along_samples.max()
    return np.divide(
        along_transformations, along_samples, out=np.full_like(along_samples, np.nan), where=known & (along_samples > 0)
    )


def differences(ours: NDArray[np.float64], activations: NDArray[np.float64]) -> tuple[float, float]:
    """The largest relative difference of units that vary by more than a share of their level, and of all."""
    right = quotient(activations)
    varies = activations.std(1, ddof=1).mean(0) >= LEVEL * np.abs(activations.mean((0, 1)))
    return difference(ours[varies], right[varies]), difference(ours, right)


def difference(ours: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """The largest relative difference of units that can be compared; 0 without any."""
    known = np.isfinite(right) & (right > RARE)
    return float((np.abs(ours - right)[known] / right[known]).max()) if known.any() else 0.0


CONTAINER = "it holds other modules, and hands on what one of them returned"
SHORT = {
    "units, not feature maps: nothing to undo a transformation on": "units",
    "rows and columns cannot be told: ": "",
    "none of its sides follows the height and another the width of the image": "no rows and columns",
    "tokens, of which no grid is seen": "tokens without a grid",
    "it has more sides than feature maps": "more sides than maps",
    "its sides follow the image, and not in the order of its rows or columns": "rows in another order",
    "tokens, not feature maps: nothing to undo a transformation on": "tokens",
}


def shortened(reason: str) -> str:
    """A reason in the words of the page's list."""
    _, found, rest = reason.partition("nothing to undo a transformation on (")
    reason = rest.removesuffix(")") if found else reason
    for long, short in SHORT.items():
        reason = reason.replace(long, short)
    return reason.replace("|", " ")


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = [
        "| network | image | layers | with same-equivariance | without | skipped: containers, others | checked | "
        "differ by (all units) | s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in rows:
        if one.error:
            lines.append(f"| {one.name} | {one.size} | | | refused: {shortened(one.error)} | | | | |")
            continue
        without = "; ".join(f"{n} {shortened(why)}" for why, n in one.reasons.items())
        others = [f"{n} {shortened(why)}" for why, n in one.skipped.items() if why != CONTAINER]
        skipped = "; ".join([str(one.skipped.get(CONTAINER, 0)), *others])
        lines.append(
            f"| {one.name} | {one.size} | {one.layers} | {one.same_equivariance} | {without} | {skipped} | "
            f"{one.checked} | {one.differs[0]:.0e} ({one.differs[1]:.0e}) | {one.seconds:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure the networks, and print the table, or write it between the marks of a page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="networks whose name begins so; several with commas between")
    parser.add_argument("--into", type=Path, help="a page with the marks <!-- NAME --> and <!-- end of NAME -->")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows: list[Row] = []
    for name, make in networks().items():
        if name.startswith(tuple(given.only.split(","))):
            try:
                rows.append(row(name, make))
            except Exception as error:  # another network must not be lost
                rows.append(Row(name, 0, 0, 0, {}, {}, 0, (0.0, 0.0), 0.0, f"{type(error).__name__}: {error}"[:300]))
            last = rows[-1]
            print(
                f"{name}: {last.layers} layers, {last.differs[0]:.1e}, {last.seconds:.0f} s {last.error}",
                file=sys.stderr,
            )
    for library in dict.fromkeys(one.name.partition(":")[0] for one in rows):
        shown = table([one for one in rows if one.name.startswith(f"{library}:")])
        if given.into is None:
            print(f"\n{library}\n\n{shown}")
        else:
            write(given.into, library, shown)


def write(page: Path, library: str, shown: str) -> None:
    """Replace the table of a library in a page."""
    start, end = f"<!-- {library} -->", f"<!-- end of {library} -->"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{start}\n\n{shown}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
