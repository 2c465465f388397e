"""The sizes of the author's study, and how a preset's cells depart from them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from cnn_invariance.paper import points
from cnn_invariance.paper.words import enumerated
from cnn_invariance.study import MeasureSpec, ModelSpec, Recipe, SampleSpec, SetSpec, TrainSpec
from cnn_invariance.study.recipes import effective_epochs
from cnn_invariance.transformations import sets

HELD_OUT = "5,000 of the training images are held out for validation, so that no choice is made on test data"
ONCE = "a run below its accuracy floor is not repeated (author: up to five times)"
DEGREES = "angles are degrees (author: the same numbers, taken as radians)"
IN_DEGREES = ("rotation", "combined")
"""The sets whose parameters are angles."""


class Data(NamedTuple):
    """A source of images.

    family:      the author's dataset that it stands for
    train:       the images of its training split, and ``validation``, of the split that is held out
    differences: what is not the same, in phrases
    held_out:    what to say where the validation split is not trained on
    """

    family: str
    train: int
    validation: int
    differences: tuple[str, ...] = ()
    held_out: str = HELD_OUT

    def images(self, recipe: Recipe) -> int:
        """The images in an epoch of a recipe."""
        return recipe.epoch_samples or self.train + (self.validation if recipe.images == "all" else 0)


DATASETS: Mapping[str, Data] = {
    "mnist": Data("mnist", 55_000, 5_000),
    "cifar10": Data("cifar10", 45_000, 5_000),
    "mnist5k": Data("mnist", 3_500, 500, ("mnist5k is 5,000 of the 60,000 training digits of MNIST, split anew",), ""),
    "cifar10_jpeg": Data("cifar10", 45_000, 5_000, ("cifar10_jpeg is CIFAR-10 after JPEG compression",)),
}


def departures(
    source: str,
    networks: Sequence[TrainSpec],
    measurements: Iterable[MeasureSpec],
    called: Callable[[ModelSpec | SetSpec], str] = lambda spec: short(spec.name),
    experiment: str = "",
) -> list[str]:
    """What is not as in the author's code, a phrase each, for cells of one dataset from this source.

    called:     the name by which a design or a set is called
    experiment: by which it is known what the author measures there, and under how many members; empty: the usual
    """
    data = DATASETS.get(source)
    by_model: dict[tuple[str, str], list[TrainSpec]] = {}
    measurements = list(measurements)
    trained = [network for network in networks if network.recipe.epochs]
    for network in networks:
        by_model.setdefault((network.model.name, called(network.model)), []).append(network)
    found = list(data.differences if data else ["the dataset is none of the author's"])
    if data and data.held_out and any(one.recipe.images == "train" for one in trained):
        found.append(data.held_out)
    if data and trained:
        found.append(ONCE)
    angled = (*(one.augmentation for one in trained), *(one.transformations for one in measurements))
    if any(one is not None and one.name in IN_DEGREES for one in angled):
        found.append(DEGREES)
    for (name, label), group in by_model.items():
        if not known(name):
            found.append(f"{label} is none of the author's networks")
        elif data is not None and (phrases := _of_networks(name, data, group, experiment)):
            found.append(f"{label}: {', '.join(phrases)}")
    return found + _of_measurements(measurements, called, experiment, data)


def foreign(sources: Iterable[str], networks: Iterable[TrainSpec], measurements: Iterable[MeasureSpec]) -> bool:
    """Whether a dataset, a network or a transformation set of some cells is none of the author's."""
    return (
        any(source not in DATASETS for source in sources)
        or not all(known(network.model.name) for network in networks)
        or not all(_set_known(one.transformations.name) for one in measurements)
    )


def without_normalisation(models: Iterable[ModelSpec]) -> list[str]:
    """What is not as in the author's comparison of accuracies: its networks have batch normalisation."""
    plain = dict.fromkeys(short(one.name) for one in models if one.arguments.get("batch_norm") is False)
    return [f"{', '.join(plain)} without batch normalisation (the author's accuracies: with)"] if plain else []


def known(model: str) -> bool:
    """Whether the author's code trains a network of this name."""
    return any(one.topic == "epochs" for one in points.chosen("network", about=model))


def sizes(model: str, family: str) -> Mapping[str, int]:
    """The arguments of a network that are sizes, as the author has them on a dataset."""
    found: Mapping[str, int] = points.value("network", model, "sizes")[family]
    return found


def members(network: TrainSpec, experiment: str = "") -> int:
    """The members of the author's set whose rule gives a network its epochs: not those of ours, which may be fewer.

    A network that pools over transformations has the epochs of its own set, though it trains on plain images. A set
    that is none of the author's has its own number, and so has one that he trains with in this ``experiment``.
    """
    if network.augmentation and network.augmentation.parameters.get("n") in _numbers(experiment, network.augmentation):
        return network.augmentation.size
    by_set: Mapping[str, int] = points.value("training", "epochs", "rule")
    own = str(network.model.arguments.get("transformations", "")).partition("[")[0]
    name = network.augmentation.name if network.augmentation else own
    if not name:
        return by_set["none"]
    if name in by_set:
        return by_set[name]
    return network.augmentation.size if network.augmentation else by_set["rotation"]


def author_epochs(network: TrainSpec, family: str, experiment: str = "") -> int:
    """The epochs that the author trains such a network for, on his dataset ``family``, in an experiment of his."""
    plain: int = points.value("network", network.model.name, "epochs")[family]
    return effective_epochs(plain, members(network, experiment))


def _numbers(experiment: str, spec: SetSpec) -> list[int]:
    """The numbers n of a set under which the author measures in an experiment that varies them; else none."""
    counts = (one.value for one in points.chosen("comparison", about=experiment) if one.topic.startswith("counts"))
    return [number for by_set in counts for number in by_set.get(spec.name, ())]


def author_images(family: str) -> int:
    """The images that the author trains on."""
    found: int = points.value("data", family, "training images")
    return found


def images(network: TrainSpec, source: str) -> int | None:
    """The images in an epoch; None: not known without reading the dataset."""
    data = DATASETS.get(source)
    return data.images(network.recipe) if data else network.recipe.epoch_samples


def learning_rate(model: ModelSpec) -> float:
    """The author's learning rate of a design; with strides in the place of max pooling it is another."""
    topic = "strides" if model.arguments.get("pooling") == "stride" else "learning rate"
    found: float = points.value("network", model.name, topic)
    return found


def weight_decay() -> float:
    """The author's weight decay."""
    found: float = points.value("training", "optimiser", "optimiser")
    return found


def other_floor(source: str, ours: float) -> list[str]:
    """What is not as in the author's code where another accuracy is asked of a network."""
    data = DATASETS.get(source)
    theirs = points.value("training", "failure", "floor")[data.family] if data else ours
    return _differs("accuracy floor {}", [ours], [theirs])


def batch_sizes(model: ModelSpec) -> tuple[int, ...]:
    """The sizes of the author's batches for a design, first the one that is named where ours is neither.

    Networks with batch normalisation, and designs that cannot have it, are both compared in accuracy and measured, and
    may have either. All others are measured alone.
    """
    batch: Mapping[str, int] = points.value("training", "optimiser", "batch")
    return (batch["usual"],) if model.arguments.get("batch_norm") is False else (batch["accuracy"], batch["usual"])


def other_batches(networks: Iterable[TrainSpec]) -> list[str]:
    """What is not as in the author's comparison of accuracies, whose batches have a size of their own."""
    theirs: int = points.value("training", "optimiser", "batch")["accuracy"]
    ours = sorted({one.recipe.batch_size for one in networks} - {theirs})
    return [f"accuracies of networks trained in batches of {spread(ours)} (the author's: {theirs})"] if ours else []


def _of_networks(name: str, data: Data, group: list[TrainSpec], experiment: str) -> list[str]:
    recipes = [each.recipe for each in group]
    rates = [learning_rate(one.model) for one in group]
    batches = ((one.recipe.batch_size, batch_sizes(one.model)) for one in group)
    others = [(ours, theirs[0]) for ours, theirs in batches if ours not in theirs]
    return [
        *(
            phrase
            for size, value in sizes(name, data.family).items()
            for phrase in _differs(f"{size} {{}}", [one.model.arguments[size] for one in group], [value])
        ),
        *_training(data, [one for one in group if one.recipe.epochs], experiment),
        *_differs("learning rate {}", [one.learning_rate for one in recipes], rates),
        *_differs("batches of {}", [ours for ours, _ in others], [theirs for _, theirs in others]),
        *_differs("weight decay {}", [one.weight_decay for one in recipes], [weight_decay()]),
        *_precision([one.precision for one in recipes]),
    ]


def _training(data: Data, group: list[TrainSpec], experiment: str) -> list[str]:
    """Epochs and images seen, where either are others than the author's."""
    asked = [author_epochs(one, data.family, experiment) for one in group]
    epochs = [one.recipe.epochs for one in group]
    each = [data.images(one.recipe) for one in group]
    theirs = author_images(data.family)
    if epochs == asked and set(each) <= {theirs}:
        return []
    seen = [a * b for a, b in zip(epochs, each, strict=True)]
    word = "epoch" if set(epochs) == {1} else "epochs"
    return [
        f"{spread(epochs)} {word} of {spread(each)} images, {spread(seen)} images (author: {spread(asked)} epochs of "
        f"{theirs:,}, {spread(one * theirs for one in asked)})"
    ]


def _precision(ours: Iterable[str]) -> list[str]:
    theirs = points.value("training", "optimiser", "precision")
    other = dict.fromkeys(one for one in ours if one != theirs)
    return [f"precision {' and '.join(other)} (author {theirs})"] if other else []


def _of_measurements(
    measurements: list[MeasureSpec], called: Callable[[SetSpec], str], experiment: str, data: Data | None
) -> list[str]:
    found = []
    theirs, words = _measured_by_the_author(experiment, data)
    samples = dict.fromkeys(each.samples for each in measurements)
    if any((one.split, one.count) not in theirs for one in samples):
        given = ((called(each.transformations), each.samples) for each in measurements)
        found.append(f"measured on {samples_by_set(given)} (author: {words})")
    for one in dict.fromkeys(each.transformations for each in measurements):
        if not _set_known(one.name):
            found.append(f"{called(one)} is none of the author's transformation sets")
        elif changed := _changed(one, experiment):
            found.append(f"{one.name}: {', '.join(changed)}")
    return list(dict.fromkeys(found))


def _measured_by_the_author(experiment: str, data: Data | None) -> tuple[set[tuple[str, int | None]], str]:
    """The splits and numbers of samples that the author measures in an experiment, and the same in words."""
    own = [one.value for one in points.chosen("comparison", about=experiment) if one.topic == "samples" and one.value]
    value: Mapping[str, Any] = own[0] if own else points.value("data", "samples", "measured")
    counts = value["counts"].get(data.family, value["counts"]) if data else value["counts"]
    return {(split, count) for split, numbers in counts.items() for count in numbers}, value["words"]


def _set_known(name: str) -> bool:
    """Whether the author's code has a transformation set of this name."""
    return any(point.topic == "members" for point in points.chosen("set", about=name))


def _changed(spec: SetSpec, experiment: str) -> list[str]:
    """Parameters that are others than the author's; those that his sets have not are compared with their defaults."""
    theirs = {**getattr(sets.build(spec.name), "parameters", {}), **points.value("set", spec.name, "members")}
    if (number := spec.parameters.get("n")) in _numbers(experiment, spec):
        theirs["n"] = number
    changes = (_differs(f"{name} {{}}", [value], [theirs[name]]) for name, value in spec.parameters.items())
    return list(chain.from_iterable(changes))


def _differs(text: str, ours: Iterable[Any], author: Iterable[Any]) -> list[str]:
    """One phrase with our values and the author's, or none if each of ours is the author's."""
    ours, author = list(ours), list(author)
    if all(a == b for a, b in zip(ours, author if len(author) > 1 else author * len(ours), strict=True)):
        return []
    return [f"{text.format(spread(ours))} (author {spread(author)})"]


def samples_by_set(given: Iterable[tuple[str, SampleSpec]]) -> str:
    """How many samples are measured, and under which sets it is another number than under most.

    >>> samples_by_set([("rotation", SampleSpec(count=500)), ("scale", SampleSpec(count=500)),
    ...                 ("combined", SampleSpec(count=60))])
    '500 samples of the test split (combined: 60 samples of the test split)'
    """
    by_set: dict[str, dict[SampleSpec, None]] = {}
    for label, one in given:
        by_set.setdefault(label, {})[one] = None
    kinds = Counter(frozenset(samples) for samples in by_set.values())
    if not kinds:
        return ""
    ((usual, _),) = kinds.most_common(1)
    first = next(samples for samples in by_set.values() if frozenset(samples) == usual)
    own = [f"{label}: {samples_in_words(some)}" for label, some in by_set.items() if frozenset(some) != usual]
    return samples_in_words(first) + (f" ({'; '.join(own)})" if own else "")


def samples_in_words(samples: Iterable[SampleSpec]) -> str:
    """How many samples of which split; of more than three numbers, the smallest and the largest.

    >>> samples_in_words([SampleSpec(count=2500), SampleSpec(split="train")])
    '2,500 samples of the test split and the whole train split'
    """
    by_split: dict[str, list[int | None]] = {}
    for one in dict.fromkeys(samples):
        by_split.setdefault(one.split, []).append(one.count)
    return " and ".join(_counts(split, list(dict.fromkeys(counts))) for split, counts in by_split.items())


def _counts(split: str, counts: Sequence[int | None]) -> str:
    """Numbers of samples of one split.

    >>> _counts("test", [60, 500]), _counts("test", [None]), _counts("test", [8, 2000, 4, 2])
    ('60 and 500 samples of the test split', 'the whole test split', '2 to 2,000 samples of the test split')
    """
    whole = [f"the whole {split} split"] if None in counts else []
    numbers = sorted(count for count in counts if count is not None)
    if len(numbers) > 3:
        found = [f"{numbers[0]:,} to {numbers[-1]:,} samples of the {split} split"]
    else:
        found = [f"{enumerated([f'{number:,}' for number in numbers])} samples of the {split} split"] if numbers else []
    return enumerated([*found, *whole])


def short(name: str) -> str:
    """The name of a model or set without the place it is from.

    >>> short("my/own/sets.py:shear"), short("rotation")
    ('shear', 'rotation')
    """
    return name.rpartition(":")[2]


def spread(values: Iterable[float]) -> str:
    """One value, or the smallest and the largest.

    >>> spread([5, 5]), spread([17, 5, 9]), spread([5e-4, 60_000]), spread([False])
    ('5', '5–17', '0.0005–60,000', 'false')
    """
    numbers = sorted(values)
    ends = (_number(number) for number in (numbers[0], numbers[-1]))
    return "–".join(dict.fromkeys(ends))


def _number(value: float) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
