"""The accuracies that the paper's author logged, beside those of the replication."""

import csv
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field

from cnn_invariance.experiments.framework import captions, choices
from cnn_invariance.experiments.framework.statistics import mean, wilson
from cnn_invariance.paper import departures
from cnn_invariance.study import Cell, Outputs, Study, TrainSpec

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.plotting import Canvas, Dot
    from cnn_invariance.results import Results

QUESTION = "Do the networks of the replication reach the accuracies of the published ones?"

SETTING = (
    "Accuracy on the test split under the augmentation of the training, one random transformation for each sample. "
    "Published: median and range of the networks of one setting in the author's log of April 2021 (reference data of "
    "the package; of SimpleConv and ResNet18 the log does not say which have batch normalisation). Replicated: mean "
    "over seeds, with the 95 % Wilson interval for the number of samples. The difference in scale between the two is "
    "the first thing to explain a difference in accuracy: epochs, images an epoch and width are in the table."
)


class Options(choices.Choice):
    """``seeds``: how many of the preset's seeds; ``batch_norm``: as in ``accuracy``, whose networks these are."""

    seeds: int = Field(1, ge=1)
    batch_norm: bool = True


class Published(NamedTuple):
    """What the author's log says of one setting."""

    epochs: int
    accuracies: tuple[float, ...]


class Row(NamedTuple):
    """One setting: how it was published, and the networks that replicate it, one for each seed."""

    dataset: str
    family: str
    model: str
    augmentation: str
    published: Published
    networks: list[TrainSpec]


def cells(study: Study, options: Options) -> list[Cell]:
    """The networks whose setting was published."""
    return [network for row in _rows(study, options) for network in row.networks]


def outputs(study: Study, options: Options) -> Outputs:
    """A figure for each dataset that has a published setting, and a table of all."""
    datasets = dict.fromkeys(row.dataset for row in _rows(study, options))
    return Outputs([f"published_accuracy_{name}" for name in datasets], ["published_accuracy"])


def draw(study: Study, options: Options, results: "Results", canvas: "Canvas") -> None:
    """Draw the dot plots and write the table."""
    import pandas as pd

    from cnn_invariance.plotting import dot_figure

    rows = list(_rows(study, options))
    frame = pd.DataFrame(_record(row, results) for row in rows)
    canvas.table("published_accuracy", frame, _caption(study, rows), printed=_printed(frame))
    for name in dict.fromkeys(row.dataset for row in rows):
        here = frame[frame["dataset"] == name]
        panels = {
            f"trained with {label}" if label != "none" else "trained plain": _dots(here[here["augmentation"] == label])
            for label in here["augmentation"].drop_duplicates()
        }
        figure = dot_figure(panels, xlabel="test accuracy", before="published", after="replicated", columns=3)
        caption = _caption(study, [row for row in rows if row.dataset == name])
        canvas.figure(f"published_accuracy_{name}", figure, caption)


@cache
def published() -> dict[tuple[str, str, str], Published]:
    """The log by dataset, model (``-BN``: with batch normalisation) and augmentation."""
    text = (files("cnn_invariance") / "paper" / "published_accuracy.csv").read_text(encoding="utf-8")
    found: dict[tuple[str, str, str], list[tuple[int, float]]] = {}
    for row in csv.DictReader(text.splitlines()):
        place = (row["dataset"], row["model"], row["augmentation"])
        found.setdefault(place, []).append((int(row["epochs"]), float(row["test_accuracy"])))
    return {
        place: Published(values[0][0], tuple(accuracy for _, accuracy in values)) for place, values in found.items()
    }


def _rows(study: Study, options: Options) -> Iterator[Row]:
    chosen = options.of(study)
    for dataset in chosen.datasets:
        family = departures.DATASETS.get(study.preset.datasets[dataset].source, ("none of the paper's", ""))[0]
        for model in chosen.models:
            arguments = choices.normalised(study, dataset, model, options.batch_norm)
            for label in (None, *chosen.sets):
                networks = [
                    study.network(dataset=dataset, model=model, augmentation=label, seed=seed, arguments=arguments)
                    for seed in choices.seeds(study, options.seeds)
                ]
                found = published().get((family, _name(networks[0]), _augmentation(networks[0])))
                if found:
                    yield Row(dataset, family, model, label or "none", found, networks)


def _name(network: TrainSpec) -> str:
    """A network as the log names it: only VGG16D says whether it has batch normalisation."""
    name = network.model.name
    return f"{name}-BN" if name == "VGG16D" and network.model.arguments["batch_norm"] else name


def _augmentation(network: TrainSpec) -> str:
    return "none" if network.augmentation is None else network.augmentation.name


def _record(row: Row, results: "Results") -> dict[str, object]:
    records = [results.training(network) for network in row.networks]
    samples = records[0]["samples"]["test"]
    ours = mean(record["accuracies"]["test"]["augmented"] for record in records)
    low, high = wilson(ours, samples)
    theirs, recipe = row.published.accuracies, row.networks[0].recipe
    _, sizes = departures.EPOCHS_AND_SIZES[row.networks[0].model.name][row.family]
    return {
        "dataset": row.dataset,
        "network": row.model,
        "augmentation": row.augmentation,
        "published": median(theirs),
        "published_low": min(theirs),
        "published_high": max(theirs),
        "published_networks": len(theirs),
        "replicated": ours,
        "replicated_low": low,
        "replicated_high": high,
        "seeds": len(records),
        "difference": ours - median(theirs),
        "published_epochs": row.published.epochs,
        "epochs": recipe.epochs,
        "images_an_epoch": recipe.epoch_samples or "all",
        "published_width": sizes["width"],
        "width": row.networks[0].model.arguments["width"],
        "samples": samples,
    }


def _printed(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The table for a page: ranges in brackets, ours beside theirs."""
    shown = frame[["dataset", "network", "augmentation"]].copy()
    for name in ("published", "replicated"):
        columns = zip(frame[name], frame[f"{name}_low"], frame[f"{name}_high"], strict=True)
        shown[name] = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in columns]
    shown["difference"] = frame["difference"]
    for name in ("epochs", "width"):
        pairs = zip(frame[f"published_{name}"], frame[name], strict=True)
        shown[f"{name}: published, here"] = [f"{theirs}, {ours}" for theirs, ours in pairs]
    shown["images an epoch"] = frame["images_an_epoch"]
    return shown


def _dots(table: "pd.DataFrame") -> list["Dot"]:
    from cnn_invariance.plotting import Dot, looks

    (look,) = looks(1)
    return [
        Dot(
            row["network"],
            "accuracy under the augmentation",
            look,
            (row["published"], row["published_low"], row["published_high"]),
            (row["replicated"], row["replicated_low"], row["replicated_high"]),
        )
        for row in table.to_dict("records")
    ]


def _caption(study: Study, rows: list[Row]) -> str:
    networks = [network for row in rows for network in row.networks]
    datasets = " and ".join(dict.fromkeys(row.dataset for row in rows))
    return captions.caption(
        study,
        "published_accuracy",
        networks,
        title=f"Published and replicated test accuracy, {datasets}",
        question=QUESTION,
        setting=SETTING,
        departures=departures.without_normalisation(network.model for network in networks),
    )
