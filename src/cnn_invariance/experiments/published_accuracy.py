"""The accuracies that the paper's author logged, beside those of the replication."""

import csv
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from cnn_invariance.experiments.framework import GridExperiment, Outputs, captions, choices
from cnn_invariance.paper import departures
from cnn_invariance.statistics.intervals import mean, wilson
from cnn_invariance.study import Cell, Study, TrainSpec

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.plotting import Canvas, Caption, Dot
    from cnn_invariance.results import Results

SETTING = (
    "Accuracy on the test split under the augmentation of the training, one random transformation for each sample. "
    "Published: median and range of the networks of one setting in the author's log of April 2021 (reference data of "
    "the package; of SimpleConv and ResNet18 the log does not say which have batch normalisation). Replicated: mean "
    "over seeds, with the 95 % Wilson interval for the number of samples. The difference in scale between the two is "
    "the first thing to explain a difference in accuracy: epochs, images an epoch and width are in the table."
)


class Published(NamedTuple):
    """What the author's log says of one setting."""

    epochs: int
    accuracies: tuple[float, ...]


class Replicated(NamedTuple):
    """One setting: how it was published, and the networks that replicate it, one for each seed."""

    dataset: str
    family: str
    model: str
    augmentation: str
    published: Published
    networks: list[TrainSpec]


class PublishedAccuracy(GridExperiment):
    """``seeds``: how many of the preset's seeds; ``batch_norm``: as in ``accuracy``, whose networks these are."""

    question = "Do the networks of the replication reach the accuracies of the published ones?"
    group = "validation"
    summarised = True

    seeds: int = Field(1, ge=1)
    batch_norm: bool = True

    def cells(self, study: Study) -> list[Cell]:
        """The networks whose setting was published."""
        return [network for one in self._replicated(study) for network in one.networks]

    def outputs(self, study: Study) -> Outputs:
        """A figure for each dataset that has a published setting, and a table of all."""
        datasets = dict.fromkeys(one.dataset for one in self._replicated(study))
        return Outputs([f"{self.name}_{dataset}" for dataset in datasets], [self.name])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the dot plots and write the table."""
        import pandas as pd

        from cnn_invariance.plotting import dot_figure

        replicated = list(self._replicated(study))
        frame = pd.DataFrame(_record(one, results) for one in replicated)
        canvas.table(self.name, frame, self._caption(study, replicated), printed=_printed(frame))
        for name in dict.fromkeys(one.dataset for one in replicated):
            here = frame[frame["dataset"] == name]
            panels = {
                "trained plain" if label == "none" else f"trained with {label}": _dots(group)
                for label, group in here.groupby("augmentation", sort=False)
            }
            figure = dot_figure(panels, xlabel="test accuracy", before="published", after="replicated", columns=3)
            caption = self._caption(study, [one for one in replicated if one.dataset == name])
            canvas.figure(f"{self.name}_{name}", figure, caption)

    def _replicated(self, study: Study) -> Iterator[Replicated]:
        datasets, models, sets = self.grid(study)
        for dataset in datasets:
            family = departures.DATASETS.get(study.preset.datasets[dataset].source, ("none of the paper's", ""))[0]
            for model in models:
                arguments = choices.normalised(study, dataset, model, self.batch_norm)
                for label in (None, *sets):
                    given: dict[str, Any] = {"model": model, "augmentation": label, "arguments": arguments}
                    networks = [
                        study.network(dataset=dataset, seed=seed, **given) for seed in choices.seeds(study, self.seeds)
                    ]
                    found = published().get((family, _name(networks[0]), _augmentation(networks[0])))
                    if found:
                        yield Replicated(dataset, family, model, label or "none", found, networks)

    def _caption(self, study: Study, replicated: list[Replicated]) -> "Caption":
        networks = [network for one in replicated for network in one.networks]
        datasets = " and ".join(dict.fromkeys(one.dataset for one in replicated))
        return captions.caption(
            study,
            self.name,
            networks,
            title=f"Published and replicated test accuracy, {datasets}",
            question=self.question,
            setting=SETTING,
            departures=departures.without_normalisation(network.model for network in networks),
        )


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


def _name(network: TrainSpec) -> str:
    """A network as the log names it: only VGG16D says whether it has batch normalisation."""
    name = network.model.name
    return f"{name}-BN" if name == "VGG16D" and network.model.arguments["batch_norm"] else name


def _augmentation(network: TrainSpec) -> str:
    return "none" if network.augmentation is None else network.augmentation.name


def _record(one: Replicated, results: "Results") -> dict[str, object]:
    records = [results.training(network) for network in one.networks]
    samples = records[0]["samples"]["test"]
    ours = mean(record["accuracies"]["test"]["augmented"] for record in records)
    low, high = wilson(ours, samples)
    theirs, recipe = one.published.accuracies, one.networks[0].recipe
    _, sizes = departures.EPOCHS_AND_SIZES[one.networks[0].model.name][one.family]
    return {
        "dataset": one.dataset,
        "network": one.model,
        "augmentation": one.augmentation,
        "published": median(theirs),
        "published_low": min(theirs),
        "published_high": max(theirs),
        "published_networks": len(theirs),
        "replicated": ours,
        "replicated_low": low,
        "replicated_high": high,
        "seeds": len(records),
        "difference": ours - median(theirs),
        "published_epochs": one.published.epochs,
        "epochs": recipe.epochs,
        "images_an_epoch": recipe.epoch_samples or "all",
        "published_width": sizes["width"],
        "width": one.networks[0].model.arguments["width"],
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
