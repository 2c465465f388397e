"""Measuring any network on any images: what ``cnn-invariance inspect`` does, without a preset and without training."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnn_invariance import datasets, models
from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.inspection_page import DASH, in_words
from cnn_invariance.measures import requests
from cnn_invariance.storage.files import atomic_write
from cnn_invariance.transformations import AffineSet, sets

if TYPE_CHECKING:
    from rich.table import Table
    from torch import Tensor, nn

    from cnn_invariance.datasets import Pictures
    from cnn_invariance.measures import MeasureResult

DEFAULT_MEASURES = requests.HEADLINE
"""The measures that are computed if none is named; only the first if the transformations cannot be undone."""

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation by channel with which networks are trained on ImageNet, of values in [0, 1]."""

NORMALISATIONS = ("images", "imagenet", "none")
CLASSES = {"torchvision:": 1000, "timm:": 1000}
"""The number of outputs of a library's networks, which is that of their published weights."""

NAMES = 8  # columns that names of layers need at least: longer ones go on in the next line
WIDTH = 140  # columns of the table where there is no terminal
TABLES = (".csv", ".parquet")
PLOTS = (".svg", ".png", ".pdf")
PAGE = ".html"


def _described(text: str, default: Any = None, **limits: Any) -> Any:
    """A field of `InspectionOptions` with its description; ``limits`` are what the command line checks."""
    return field(default=default, metadata={"help": text, **limits})


@dataclass(frozen=True)
class InspectionOptions:
    """What to inspect, and how: the options of ``cnn-invariance inspect``, which is made from these fields."""

    model: str = field(metadata={"help": "torchvision:NAME, timm:NAME, file.py:function, or one of the package."})
    images: Path = field(metadata={"help": "Folder or tar archive of images, flat or by class."})
    transformations: str = _described("A set: rotation, 'scale[n=2]', file.py:function.", "rotation")
    set: tuple[str, ...] = _described("Parameter of the set: n=9. May be repeated.", ())
    measures: str = _described("With commas between; without: NV of maps, and NVSE of maps if possible.", "")
    argument: tuple[str, ...] = _described("Argument of the network: width=8. Repeat.", ())
    weights: Path | None = _described("Safetensors file of trained weights.")
    classes: int | None = _described("Outputs; without: 1000 of a library, else 10.", min=1)
    size: str | None = _described("Resize images to 224, or HEIGHTxWIDTH.")
    count: int = _described("How many images, at most.", 64, min=1)
    channels: int | None = _described("1: grey, 3: RGB; without: as the images are.")
    normalise: str = _described("By the mean and deviation of: images, imagenet; or none.", "images")
    layers: tuple[str, ...] = _described("Names or patterns of layers, 'layer4*' or 'relu#2'. Repeat.", ())
    merge: bool = _described("Leave out layers that change nothing, such as dropout.", True)
    uncertainty: bool = _described("Give 95 % intervals over images.", False)
    null: bool = _described("Give the values of shuffled images, too.", False)
    output: tuple[Path, ...] = _described("Page .html, table .csv .parquet, plot .svg .png .pdf. Repeat.", ())
    device: str | None = _described("cpu, cuda; without: CUDA if there is any.")
    tile: int | None = _described("Images at once; without: by the memory.", min=1)

    def __post_init__(self) -> None:
        """Raise InputError for options that cannot be read."""
        if self.normalise not in NORMALISATIONS:
            raise unknown_name("normalisation", self.normalise, NORMALISATIONS)
        for path in self.output:
            if path.suffix not in (*TABLES, *PLOTS, PAGE):
                endings = ", ".join((*TABLES, *PLOTS, PAGE))
                raise InputError(f"output {path}: its ending says what to write; expected {endings}")
        _ = self.parameters, self.arguments, self.height_and_width

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the set."""
        return pairs("--set", self.set)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the network."""
        return pairs("--argument", self.argument)

    @property
    def height_and_width(self) -> tuple[int, int] | None:
        """The size that images are resized to; None: they are not."""
        return None if self.size is None else read_size(self.size)


@dataclass(frozen=True)
class Inspection:
    """A result, and what else is to be told.

    facts:    pairs of a label and a text
    pictures: the images as they were read, before they were normalised
    """

    result: "MeasureResult"
    facts: Sequence[tuple[str, str]]
    pictures: "Pictures"


def inspect(options: InspectionOptions, *, progress: bool = False) -> Inspection:
    """Measure a network on images.

    Errors: InputError for options, files, networks or images that cannot be used; before the pass wherever possible.
    """
    import warnings

    import torch

    import cnn_invariance as ci
    from cnn_invariance.measures.engine.inputs import EqualMembersWarning, OneSampleWarning

    members = sets.parse(options.transformations, **options.parameters)
    measures, left_out = _measures(split_measures(options.measures), isinstance(members, AffineSet))
    images, pictures, seen = _images(options)
    network, built = _network(options, images)
    by_class = any(_by_class(requests.check(measure)) for measure in measures)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EqualMembersWarning)  # it is among the facts
        warnings.simplefilter("ignore", OneSampleWarning)  # and this among the remarks
        result = ci.measure(
            network,
            images,
            members,
            measures,
            torch.from_numpy(pictures.groups) if by_class else None,
            layers=options.layers or None,
            device=options.device,
            tile=options.tile,
            progress=progress,
            accuracy=False,
            merge=options.merge,
            uncertainty=options.uncertainty,
            null=options.null,
        )
    under = [("under", f"{_name(options, members)}: {_count_of(members)}")]
    return Inspection(result, [*built, *seen, *under, *left_out], pictures)


def _by_class(request: requests.Measure) -> bool:
    """Whether a measure reads the classes of the images."""
    return request["stratified"] or dict(request.options).get("order") == "class"


def show(options: InspectionOptions) -> None:
    """Inspect a network, print the facts, the table and the remarks, and write the files of ``options.output``."""
    import sys

    from rich.console import Console

    found = inspect(options, progress=sys.stderr.isatty())
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, soft_wrap=True)
    dash = DASH if console.encoding.startswith("utf") else "-"
    shown = table(found.result, dash)
    console.width = max(console.width, least_width(shown))
    for what, how in found.facts:
        console.print(f"{what:10}{how}", markup=False)
    console.print(shown, soft_wrap=False)
    for remark in remarks(found.result):
        console.print(remark, markup=False)
    for path in options.output:
        write(found, path)
        console.print(f"written: {path}", markup=False)


def least_width(shown: "Table") -> int:
    """The columns that a table needs so that no number is cut; a narrower terminal wraps its lines."""
    texts = (len(str(column.header)) if column.no_wrap else NAMES for column in shown.columns)
    cells = (
        max((len(str(cell)) for cell in column.cells), default=0) if column.no_wrap else 0 for column in shown.columns
    )
    return sum(max(both) + 3 for both in zip(texts, cells, strict=True))


def table(result: "MeasureResult", dash: str = DASH) -> "Table":
    """The profiles for a terminal: one row per layer, one column per measure, a dash where a layer has no value."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("", justify="right", no_wrap=True)
    for name in ("layer", "kind", "shape"):
        shown.add_column(name, overflow="fold", min_width=NAMES)
    for name in requests.labels(result.measures).values():
        shown.add_column(name, justify="right", no_wrap=True)
    rows = {(row["measure"], row["layer_index"]): row for row in result.profiles().to_dict("records")}
    for layer in result.layers:
        cells = [in_words(rows[measure, layer.index], dash) for measure in result.measures]
        texts = [str(layer.index), layer.name, layer.kind, " x ".join(map(str, layer.shape)), *cells]
        shown.add_row(*map(Text, texts))  # as they are: a name may hold what Rich takes for markup, "[class token]"
    return shown


def remarks(result: "MeasureResult") -> Iterator[str]:
    """Notes on the table: what is no layer, layers without a value and why, units left out of the means, accuracy."""
    skipped: dict[str, list[str]] = {}
    for name, reason in result.skipped.items():
        skipped.setdefault(reason, []).append(name)
    for reason, names in skipped.items():
        yield f"no layer: {_few(names)} ({reason})"
    for measure, name in requests.labels(result.measures).items():
        reasons: dict[str, list[str]] = {}
        of_network = requests.level(requests.check(measure)) == "network"
        for layer, reason in ({} if of_network else result.absent(measure)).items():
            reasons.setdefault(reason, []).append(layer)
        for reason, layers in reasons.items():
            yield f"no {name} in {_counted(len(layers), 'layer')} ({reason}): {_few(layers)}"
        if measure in result.network:
            said = ", ".join(f"{value:.4g}" for value in result.network[measure])
            yield f"{measure} of the network: {said}{_null(result, measure)}"
        if "network" in result.reasons.get(measure, {}):
            yield f"no {measure} ({result.reasons[measure]['network']})"
        profile = result.profile(measure)
        if profile.empty:
            continue
        units, infinite, dead = (int(profile[name].sum()) for name in ("units", "infinite", "dead"))
        yield (
            f"{name}: of {units:,} values, {infinite:,} are infinite (left out of the means), "
            f"{dead:,} dead (0 / 0, counted as 1)"
        )
    for measure, reason in result.no_interval.items():
        yield f"no interval for {measure}: {reason}"
    for measure, reason in result.no_null.items():
        yield f"no null for {measure}: {reason}"
    if result.nulls is not None and result.nulls.shared:
        yield (
            f"nulls of spreads along transformations are too near to the values: {result.nulls.shared:.0%} of the "
            "pairs of transformations have the same sample; use fewer transformations, or more images at once (--tile)"
        )
    for layer, said in result.mixing().items():
        yield f"{layer}: {said}"
    if result.samples == 1:
        yield "one image has no spread over samples: what is divided by it is 0 / 0 or infinite; give more images"
    yield "accuracy is not reported: which output of the network each image should have is not said"


def _null(result: "MeasureResult", measure: str) -> str:
    """The null of a measure of the network, if there is one."""
    if result.nulls is None or measure not in result.nulls.network:
        return ""
    return f" (null {result.nulls.network[measure].mean():.4g})"


def write(found: Inspection, path: Path) -> None:
    """Write a page (HTML), or the profiles as a table (CSV, Parquet) or a plot (SVG, PNG, PDF), by the ending."""
    result = found.result
    with atomic_write(path) as temporary:
        if path.suffix == ".csv":
            result.profiles().to_csv(temporary, index=False)
        elif path.suffix == ".parquet":
            result.profiles().to_parquet(temporary, index=False)
        elif path.suffix == PAGE:
            from cnn_invariance import inspection_page

            read, said = found.pictures, list(remarks(result))
            page = inspection_page.html(result, found.facts, said, read.images, read.names)
            temporary.write_text(page, encoding="utf-8", newline="\n")
        else:
            drawn = [measure for measure in result.measures if len(result.absent(measure)) < len(result.layers)]
            result.plot(drawn).savefig(temporary, format=path.suffix[1:], dpi=300)


def read_size(text: str) -> tuple[int, int]:
    """(H, W) of a text.

    >>> read_size("224"), read_size("192x256")
    ((224, 224), (192, 256))

    Errors: InputError for another form.
    """
    match = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text)
    if match is None:
        raise InputError(f"--size {text}: expected a side such as 224, or HEIGHTxWIDTH such as 192x256")
    return int(match[1]), int(match[2] or match[1])


def pairs(option: str, texts: Sequence[str]) -> dict[str, Any]:
    """Names and values of ``name=value`` texts; a value is a number, true or false, else a text.

    >>> pairs("--set", ["n=9", "angle_deg=90.5"])
    {'n': 9, 'angle_deg': 90.5}

    Errors: InputError for another form, and for a name that is given twice.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value) or name in found:
            raise InputError(f"{option} {text}: expected name=value, such as n=9, each name once")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    try:
        value = json.loads(text.lower() if text.lower() in ("true", "false") else text)
    except json.JSONDecodeError:
        return text
    return value if isinstance(value, bool | int | float) else text


def split_measures(text: str) -> list[str]:
    """The measures in a text, at its commas outside brackets.

    >>> split_measures("NV, NVSE[aggregate=mean,order=after]")
    ['NV', 'NVSE[aggregate=mean,order=after]']
    """
    return [part.strip() for part in re.split(r",(?![^\[]*\])", text) if part.strip()]


def _measures(asked: Sequence[str], affine: bool) -> tuple[list[str], list[tuple[str, str]]]:
    """The measures to compute, and a fact on those that are left out."""
    if asked:
        return [str(request) for request in requests.check_all(asked)], []
    if affine:
        return list(DEFAULT_MEASURES), []
    return list(DEFAULT_MEASURES[:1]), [
        ("left out", "same-equivariance: these transformations cannot be undone on feature maps")
    ]


def _images(options: InspectionOptions) -> tuple["Tensor", "Pictures", list[tuple[str, str]]]:
    """Images (N, C, H, W) in the form that the network expects, what they were read as, and facts on them."""
    import torch

    try:
        found = datasets.read_pictures(options.images, count=options.count, size=options.height_and_width)
    except datasets.DifferentSizesError as error:
        raise InputError(f"{error}; here, --size 224 resizes them") from error
    pixels = torch.from_numpy(found.images)
    channels = options.channels or (3 if options.model.startswith("torchvision:") else pixels.shape[1])
    pixels = datasets.adapt(pixels, (channels, *pixels.shape[2:]))
    images, how = _normalised(pixels.float() / 255, options.normalise)
    resized = "resized to " if options.size else ""
    height, width = images.shape[2:]
    drawn = f" of {found.total:,}, drawn evenly from {_counted(len(found.folders), 'folder')}"
    amount = f"{len(images):,}{drawn if len(images) < found.total else ''}"
    colour = {1: "grey", 3: "RGB"}[channels]
    facts = [("images", f"{amount} in {options.images}, {resized}{height} x {width}, {colour}")]
    facts += [("", note) for note in found.notes]
    if found.others:
        facts.append(("left out", f"files that cannot be read as images: {found.others}"))
    return images, found, [*facts, ("values", how)]


def _normalised(images: "Tensor", how: str) -> tuple["Tensor", str]:
    """Images with values in [0, 1], normalised as ``how`` says, and a description of the normalisation."""
    import torch

    if how == "none":
        return images, "from 0 to 1, not normalised"
    if how == "imagenet":
        if images.shape[1] != len(IMAGENET[0]):
            raise InputError(f"ImageNet's mean is of 3 channels; the images have {images.shape[1]}: use --channels 3")
        mean, std = (torch.tensor(values)[:, None, None] for values in IMAGENET)
        said = "ImageNet's mean and standard deviation"
    else:
        mean, std = images.mean((0, 2, 3))[:, None, None], images.std((0, 2, 3), correction=0)[:, None, None]
        std = torch.where(std > 0, std, torch.ones_like(std))
        said = "the mean and standard deviation of these images"
    return (images - mean) / std, f"normalised by channel with {said}"


def _network(options: InspectionOptions, images: "Tensor") -> tuple["nn.Module", list[tuple[str, str]]]:
    """The network for these images, in evaluation mode, and facts on it."""
    import torch

    default = next((count for start, count in CLASSES.items() if options.model.startswith(start)), 10)
    classes = options.classes or default
    torch.manual_seed(0)
    channels, height, width = images.shape[1:]
    network = models.build(options.model, (channels, height, width), classes, **options.arguments).eval()
    start = "random (seed 0): --weights FILE takes trained ones"
    if options.weights is not None:
        if other := models.load_weights(network, options.weights):
            raise InputError(
                f"{options.weights}: {other[0]!r} is for another number of outputs than {classes}; give --classes"
            )
        start = str(options.weights)
    parameters = sum(weights.numel() for weights in network.parameters())
    return network, [("network", f"{options.model}, {classes} outputs, {parameters:,} parameters"), ("weights", start)]


def _name(options: InspectionOptions, members: object) -> str:
    name, given = sets.read_text(options.transformations)
    known = members.parameters if isinstance(members, AffineSet) else {**given, **options.parameters}
    return sets.text_of(name, known)


def _count_of(members: sets.TransformationSet) -> str:
    """How many transformations there are, and which of them are one map."""
    said = members.coincidence() if isinstance(members, AffineSet) else ""
    return f"{len(members)} transformations{said and f' (note: {said})'}"


def _few(texts: Sequence[str]) -> str:
    """The texts joined; of six or more only the first three and the last, because the table lists all."""
    return ", ".join(texts if len(texts) < 6 else [*texts[:3], "...", texts[-1]])


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
