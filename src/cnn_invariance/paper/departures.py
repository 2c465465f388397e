"""The sizes of the paper's own study, and how a preset's cells depart from them."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from cnn_invariance.study import MeasureSpec, ModelSpec, SampleSpec, SetSpec, TrainSpec
from cnn_invariance.study.recipes import effective_epochs
from cnn_invariance.transformations import sets

EPOCHS_AND_SIZES: Mapping[str, Mapping[str, tuple[int, Mapping[str, int]]]] = {
    "SimpleConv": {
        "mnist": (5, {"width": 32, "dense": 64}),
        "cifar10": (25, {"width": 128, "dense": 128}),
    },
    "AllConvolutional": {"mnist": (30, {"width": 16}), "cifar10": (40, {"width": 64})},
    "VGG16D": {
        "mnist": (10, {"width": 16, "dense": 64}),
        "cifar10": (30, {"width": 64, "dense": 512}),
    },
    "ResNet18": {"mnist": (7, {"width": 64}), "cifar10": (40, {"width": 64})},
    "TIPoolingSimpleConv": {
        "mnist": (5, {"width": 16, "dense": 64}),
        "cifar10": (20, {"width": 64, "dense": 128}),
    },
}
"""Of each network on each dataset: epochs without augmentation, and the arguments that are sizes."""

LEARNING_RATES = {
    "SimpleConv": 5e-4,
    "AllConvolutional": 1e-3,
    "VGG16D": 1e-4,
    "ResNet18": 5e-4,
    "TIPoolingSimpleConv": 1e-3,
}
BATCH_SIZE = 64
SAMPLES = ("test", 5000)  # half of either test set
SETS = ("rotation", "scale", "translation", "combined")  # the defaults of each are the paper's

HELD_OUT = "5,000 of the training images are held out for validation"
DATASETS = {
    "mnist": ("mnist", [HELD_OUT]),
    "cifar10": ("cifar10", [HELD_OUT]),
    "mnist5k": ("mnist", ["mnist5k is 5,000 of the 60,000 training digits of MNIST, split anew"]),
    "cifar10_jpeg": ("cifar10", ["cifar10_jpeg is CIFAR-10 after JPEG compression", HELD_OUT]),
}
"""Of each source: the paper's dataset that it stands for, and phrases on what is not the same."""


def departures(source: str, networks: Iterable[TrainSpec], measurements: Iterable[MeasureSpec]) -> list[str]:
    """What is not as in the paper, a phrase each, for cells of one dataset from this source."""
    family, differences = DATASETS.get(source, (None, ["the dataset is none of the paper's"]))
    by_model: dict[str, list[TrainSpec]] = {}
    for network in networks:
        by_model.setdefault(network.model.name, []).append(network)
    found = list(differences)
    for name, group in by_model.items():
        if family is None or name not in EPOCHS_AND_SIZES:
            found += [] if family is None else [f"{short(name)} is none of the paper's networks"]
        elif phrases := _of_networks(name, family, group):
            found.append(f"{name}: {', '.join(phrases)}")
    return found + _of_measurements(list(measurements))


def without_normalisation(models: Iterable[ModelSpec]) -> list[str]:
    """What is not as in the paper's accuracies: those are of networks with batch normalisation."""
    plain = dict.fromkeys(short(one.name) for one in models if one.arguments.get("batch_norm") is False)
    return [f"{', '.join(plain)} without batch normalisation (the paper's accuracies: with)"] if plain else []


def _of_networks(name: str, family: str, group: list[TrainSpec]) -> list[str]:
    epochs, sizes = EPOCHS_AND_SIZES[name][family]
    recipes = [each.recipe for each in group]
    asked = [effective_epochs(epochs, one.augmentation.size if one.augmentation else 1) for one in group]
    return [
        *(
            phrase
            for size, value in sizes.items()
            for phrase in _differs(f"{size} {{}}", [one.model.arguments[size] for one in group], [value])
        ),
        *_differs("{} epochs", [recipe.epochs for recipe in recipes], asked),
        *_differs("learning rate {}", [recipe.learning_rate for recipe in recipes], [LEARNING_RATES[name]]),
        *_differs("batches of {}", [recipe.batch_size for recipe in recipes], [BATCH_SIZE]),
    ]


def _of_measurements(measurements: list[MeasureSpec]) -> list[str]:
    found = []
    samples = dict.fromkeys(each.samples for each in measurements)
    if any((one.split, one.count) != SAMPLES for one in samples):
        ours = ", ".join(map(sample_text, samples))
        found.append(f"measured on {ours} (paper: half of the test set, {SAMPLES[1]:,})")
    for one in dict.fromkeys(each.transformations for each in measurements):
        if one.name not in SETS:
            found.append(f"{short(one.name)} is none of the paper's transformation sets")
        elif changed := _changed(one):
            found.append(f"{one.name}: {', '.join(changed)}")
    return found


def _changed(spec: SetSpec) -> list[str]:
    defaults = getattr(sets.build(spec.name), "parameters", {})
    changes = (_differs(f"{name} {{}}", [value], [defaults[name]]) for name, value in spec.parameters.items())
    return list(chain.from_iterable(changes))


def _differs(text: str, ours: Iterable[Any], paper: Iterable[Any]) -> list[str]:
    """One phrase with our values and the paper's, or none if each of ours is the paper's."""
    ours, paper = list(ours), list(paper)
    if all(a == b for a, b in zip(ours, paper if len(paper) > 1 else paper * len(ours), strict=True)):
        return []
    return [f"{text.format(spread(ours))} (paper {spread(paper)})"]


def sample_text(samples: SampleSpec) -> str:
    """The samples in words.

    >>> sample_text(SampleSpec(count=2500)), sample_text(SampleSpec(split="train"))
    ('2,500 samples of the test split', 'the whole train split')
    """
    if samples.count is None:
        return f"the whole {samples.split} split"
    return f"{samples.count:,} samples of the {samples.split} split"


def short(name: str) -> str:
    """The name of a model or set without the place it is from.

    >>> short("my/own/sets.py:shear"), short("rotation")
    ('shear', 'rotation')
    """
    return name.rpartition(":")[2]


def spread(values: Iterable[float]) -> str:
    """One value, or the smallest and the largest.

    >>> spread([5, 5]), spread([17, 5, 9]), spread([False])
    ('5', '5–17', 'false')
    """
    numbers = sorted(values)
    ends = (str(one).lower() if isinstance(one, bool) else f"{one:g}" for one in (numbers[0], numbers[-1]))
    return "–".join(dict.fromkeys(ends))
