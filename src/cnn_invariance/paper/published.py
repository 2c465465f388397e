"""The test accuracies that the paper's author logged, by dataset, network and augmentation."""

import csv
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from cnn_invariance.paper import departures
from cnn_invariance.study import TrainSpec


class Published(NamedTuple):
    """What the author's log says of one setting: epochs, width and the accuracy of each network."""

    epochs: int
    width: int
    accuracies: tuple[float, ...]


@cache
def published() -> dict[tuple[str, str, str], tuple[int, tuple[float, ...]]]:
    """Epochs and accuracies by dataset, model (``-BN``: with batch normalisation) and augmentation."""
    text = (files("cnn_invariance") / "paper" / "published_accuracy.csv").read_text(encoding="utf-8")
    found: dict[tuple[str, str, str], list[tuple[int, float]]] = {}
    for row in csv.DictReader(text.splitlines()):
        place = (row["dataset"], row["model"], row["augmentation"])
        found.setdefault(place, []).append((int(row["epochs"]), float(row["test_accuracy"])))
    return {place: (values[0][0], tuple(accuracy for _, accuracy in values)) for place, values in found.items()}


def published_as(network: TrainSpec, source: str) -> Published | None:
    """What was published of a network's setting, on the paper's dataset that a source stands for (None: nothing).

    Only of VGG16D does the log say whether it has batch normalisation.
    """
    family = departures.DATASETS.get(source, ("none of the paper's", ""))[0]
    name = network.model.name
    logged = f"{name}-BN" if name == "VGG16D" and network.model.arguments["batch_norm"] else name
    augmentation = "none" if network.augmentation is None else network.augmentation.name
    if (found := published().get((family, logged, augmentation))) is None:
        return None
    epochs, accuracies = found
    return Published(epochs, departures.EPOCHS_AND_SIZES[name][family][1]["width"], accuracies)
