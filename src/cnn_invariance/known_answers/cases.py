"""Networks with a known answer, the images and the transformations that they are measured under.

The images are smooth noise in a disc with an empty margin, so that whole-pixel shifts by up to two pixels move nothing
out of the image, and digits for the trained network. All networks are small, and drawn from fixed seeds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from cnn_invariance import models
from cnn_invariance.models.layers import GlobalMean
from cnn_invariance.transformations.affine import AffineSet, rotation_matrix, translation_matrix

Question = Literal["equivariance", "invariance", "output"]
Answer = Literal["exact", "broken", "partly", "as", "unrelated"]

SIDE, SAMPLES, CHANNELS, CLASSES = 24, 64, 8, 6
NOISE = 0.5
"""The share of the variance that is noise, in the network with a known share of it."""


@dataclass(frozen=True)
class Case:
    """A network, what it is measured under, and what is known of it.

    network, layer: the layer that is looked at; the output is that of the network.
    answers: for the questions that have an answer here. ``exact``: it is equivariant or invariant; ``broken``: it is
        known not to be; ``partly``: a known share of it is noise; ``as``: it is as much as the case ``other``;
        ``unrelated``: nothing of a transformed sample has to do with the sample.
    generator: of the Lie derivative, the continuous form of the transformations.
    """

    name: str
    network: nn.Module
    images: Tensor
    transformations: AffineSet
    layer: str
    answers: Mapping[Question, Answer]
    generator: str
    other: str = ""


def shifts(pixels: int) -> AffineSet:
    """Shifts by so many pixels, across, down and both."""
    steps = [(pixels, 0), (0, pixels), (-pixels, pixels)]
    matrices = [translation_matrix(x / SIDE, y / SIDE) for x, y in steps]
    return AffineSet(f"shifts of {pixels}", {}, np.stack(matrices), tuple(f"{x}, {y}" for x, y in steps))


def turns(*angles: float) -> AffineSet:
    """Rotations by these angles."""
    return AffineSet("turns", {}, np.stack([rotation_matrix(a) for a in angles]), tuple(f"{a} deg" for a in angles))


def smooth_images() -> Tensor:
    """(64, 1, 24, 24): smooth noise in a disc of radius 7."""
    noise = torch.randn(SAMPLES, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    kernel = torch.tensor([1.0, 4, 6, 4, 1]) / 16
    for _ in range(2):
        noise = nn.functional.conv2d(noise, kernel.view(1, 1, 1, 5), padding=(0, 2))
        noise = nn.functional.conv2d(noise, kernel.view(1, 1, 5, 1), padding=(2, 0))
    place = torch.arange(SIDE) - (SIDE - 1) / 2
    inside = (place[:, None] ** 2 + place**2).sqrt() < 7
    return noise / noise.std() * inside


def digits() -> tuple[Tensor, Tensor]:
    """Scikit-learn's digits, enlarged to 16 x 16 in an empty margin: (1797, 1, 24, 24), and their classes."""
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    found = load_digits()
    images = torch.tensor(found.images, dtype=torch.float32)[:, None] / 16
    images = nn.functional.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)
    return nn.functional.pad(images, (4, 4, 4, 4)), torch.tensor(found.target)


class Net(nn.Module):
    """``body``, whose output is the layer that is looked at, and scores of classes from the mean of its maps."""

    def __init__(self, body: nn.Module, *, maps: bool = True) -> None:
        super().__init__()
        self.body = body
        torch.manual_seed(1)
        self.head = nn.Sequential(*([GlobalMean()] if maps else []), nn.Linear(CHANNELS, CLASSES))
        with torch.no_grad():
            self.head.get_parameter(f"{len(self.head) - 1}.weight").mul_(20)  # answers that differ between samples

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, K)."""
        scores: Tensor = self.head(self.body(x))
        return scores


class Lambda(nn.Module):
    """A function as a module, so that what it returns is a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Whatever the function returns."""
        return self.function(x)


def fingerprints(images: Tensor) -> Tensor:
    """(B,): a number in [0, 1) of each image, which any change of it changes altogether."""
    draw = torch.rand(images.shape[1:], generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(images)
    return (torch.sin((images.double() * draw.double()).sum((1, 2, 3)) * 1e4) * 1e4).frac().abs()


class Noisy(nn.Module):
    """A body plus noise that is a function of the image, of a known share of the variance."""

    def __init__(self, body: nn.Module, images: Tensor) -> None:
        super().__init__()
        self.body = body
        with torch.no_grad():
            self.size = float(body(images).std()) * (NOISE / (1 - NOISE)) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        """The shape of the body's output; few images, as in the look for layers, are answered without noise."""
        clean: Tensor = self.body(x)
        if len(x) < SAMPLES:
            return clean
        seeds = (fingerprints(x) * 2**31).long().tolist()
        drawn = [torch.randn(clean.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return clean + self.size * torch.stack(drawn).to(clean)


class Elsewhere(nn.Module):
    """The null of a network: it answers for another image, drawn anew for each image and each transformation."""

    def __init__(self, network: nn.Module, images: Tensor) -> None:
        super().__init__()
        self.network, self.images = network, images

    def forward(self, x: Tensor) -> Tensor:
        """The network's output for the drawn images; few, as in the look for layers, are answered themselves."""
        if len(x) < SAMPLES:
            own: Tensor = self.network(x)
            return own
        drawn = (fingerprints(x.detach()) * len(self.images)).long()
        found: Tensor = self.network(self.images[drawn].to(x.dtype))
        return found


def convolution(stride: int = 1, *, seed: int = 0) -> nn.Sequential:
    """A circular 3 x 3 convolution and ReLU, (B, 1, H, W) -> (B, 8, H / stride, W / stride)."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, CHANNELS, 3, stride, padding=1, padding_mode="circular"), nn.ReLU())


def filtered(kernel: Tensor) -> nn.Sequential:
    """One 5 x 5 filter with eight factors, and ReLU."""
    layer = nn.Conv2d(1, CHANNELS, 5, padding=2, bias=False)
    factors = torch.tensor([1.0, -1, 2, -2, 0.5, -0.5, 1.5, -1.5])
    with torch.no_grad():
        layer.weight.copy_(factors.view(-1, 1, 1, 1) * kernel)
    return nn.Sequential(layer, nn.ReLU())


def _kernels() -> tuple[Tensor, Tensor]:
    """An isotropic one (it depends on the radius), and one that is longer across than down."""
    place = torch.arange(5) - 2.0
    round_ = torch.exp(-(place[:, None] ** 2 + place**2) / 2)
    return round_ - round_.mean(), torch.exp(-(place[:, None] ** 2) * 2 - place**2 / 8) - 0.3


def small_cnn() -> nn.Sequential:
    """Two convolutions with pooling, whose last layer before the mean is looked at."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, CHANNELS, 3, padding=1), nn.ReLU()
    )


class Classifier(nn.Module):
    """`small_cnn` with a dense layer for ten digits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = small_cnn()
        self.head = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(CHANNELS * 36, 10))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, 24, 24) -> (B, 10)."""
        scores: Tensor = self.head(self.body(x))
        return scores


def trained(images: Tensor, labels: Tensor, *, epochs: int = 4) -> Classifier:
    """A classifier of digits, trained without transformations on all but the last 297."""
    network = Classifier()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    order = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for chosen in torch.randperm(1500, generator=order).split(50):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(images[chosen]), labels[chosen]).backward()
            optimiser.step()
    return network


def _of_c4() -> nn.Module:
    torch.manual_seed(4)
    network = models.build("C4Conv", (1, SIDE, SIDE), CLASSES, width=2, activation="relu")
    with torch.no_grad():
        network.get_parameter("dense.weight").mul_(20)
    return network


def all_cases() -> Iterator[Case]:
    """The cases, in the order of the table."""
    smooth = smooth_images()
    pictures, labels = digits()
    held_out = pictures[1500 : 1500 + SAMPLES]
    one, two, quarter, eighth = shifts(1), shifts(2), turns(90, 180, 270), turns(45, 135)
    moved: Mapping[Question, Answer] = {"equivariance": "exact", "invariance": "broken", "output": "exact"}
    broken: Mapping[Question, Answer] = dict.fromkeys(("equivariance", "invariance", "output"), "broken")
    exact: Mapping[Question, Answer] = dict.fromkeys(("equivariance", "invariance", "output"), "exact")
    shift, turn = "translation_x", "rotation"

    def of(
        name: str,
        body: nn.Module,
        under: AffineSet,
        answers: Mapping[Question, Answer],
        generator: str,
        other: str = "",
    ) -> Case:
        return Case(name, Net(body).eval(), smooth, under, "body", answers, generator, other)

    yield of("circular convolution, shifts of 1", convolution(), one, moved, shift)
    yield of("stride 2, shifts of 2", convolution(2), two, moved, shift)
    yield of("stride 2, shifts of 1", convolution(2), one, broken, shift)
    pooled = nn.Sequential(convolution(), nn.MaxPool2d(2))
    yield of("max pooling of 2, shifts of 1", pooled, one, broken, shift)
    c4 = _of_c4().eval()
    yield Case("C4 network, quarter turns", c4, smooth, quarter, "act3", moved, turn)
    yield Case("C4 network, 45 degrees", c4, smooth, eighth, "act3", broken, turn)
    isotropic, anisotropic = _kernels()
    yield of("isotropic filter, quarter turns", filtered(isotropic), quarter, moved, turn)
    yield of("anisotropic filter, quarter turns", filtered(anisotropic), quarter, broken, turn)
    constant = Lambda(lambda x: torch.full_like(x, 1.0).expand(-1, CHANNELS, -1, -1) * 1.0)
    yield of("constant network, shifts of 1", constant, one, exact, shift)
    torch.manual_seed(5)
    mean = nn.Sequential(nn.Conv2d(1, CHANNELS, 1), nn.ReLU(), GlobalMean())
    yield Case("global mean of pointwise, shifts of 1", Net(mean, maps=False).eval(), smooth, one, "body", exact, shift)
    order = torch.randperm(SIDE * SIDE, generator=torch.Generator().manual_seed(6))
    permuted = nn.Sequential(
        Lambda(lambda x: x.flatten(2)[:, :, order].unflatten(2, (SIDE, SIDE))), nn.Conv2d(1, CHANNELS, 1), nn.ReLU()
    )
    yield of("permuted pixels, shifts of 1", permuted, one, {**broken, "output": "exact"}, shift)
    faint = nn.Sequential(convolution(2), Lambda(lambda x: 1e-3 * x))
    same: Mapping[Question, Answer] = {"equivariance": "as", "invariance": "as"}
    yield of("stride 2 times 0.001, shifts of 1", faint, one, same, shift, "stride 2, shifts of 1")
    share: Mapping[Question, Answer] = {"equivariance": "partly"}
    yield of("half noise, shifts of 1", Noisy(convolution(), smooth), one, share, shift)
    plain = Classifier().eval()
    yield Case("untrained CNN, 45 degrees", plain, held_out, eighth, "body", broken, turn)
    yield Case("trained CNN, 45 degrees", trained(pictures, labels).eval(), held_out, eighth, "body", broken, turn)
    nothing: Mapping[Question, Answer] = dict.fromkeys(("equivariance", "invariance", "output"), "unrelated")
    yield Case(
        "shuffled pairs, shifts of 1", Elsewhere(Net(convolution()), smooth).eval(), smooth, one, "network.body",
        nothing, shift,
    )  # fmt: skip
