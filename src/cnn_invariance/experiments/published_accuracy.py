"""The accuracies that the paper's author logged, beside those of the replication."""

from collections.abc import Iterator
from itertools import product
from statistics import median
from typing import TYPE_CHECKING

from cnn_invariance.experiments.framework.accuracies import AccuracyExperiment, Setting, bracketed
from cnn_invariance.paper.published import Published, published_as
from cnn_invariance.statistics.intervals import mean, with_interval
from cnn_invariance.study import Cell, Study, TrainSpec

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.results import Results

TITLE = "Published and replicated test accuracy, {on}"


class PublishedAccuracy(AccuracyExperiment):
    """The networks are those of ``accuracy``."""

    question = "Do the networks of the replication reach the accuracies of the published ones?"
    summarised = True
    titles = (TITLE, TITLE)
    setting = (
        "Accuracy on the test split under the augmentation of the training, one random transformation for each sample. "
        "Published: median and range of the networks of one setting in the author's log of April 2021 (reference data "
        "of the package; of SimpleConv and ResNet18 the log does not say which have batch normalisation). Replicated: "
        "mean over seeds, with the 95 % Wilson interval for the number of samples. The difference in scale between the "
        "two is the first thing to explain a difference in accuracy: epochs, images an epoch and width are in the "
        "table."
    )
    panel, ends = "augmentation", ("published", "replicated")
    series = ("accuracy under the augmentation",)
    drawing = {"before": "published", "after": "replicated", "columns": 3}

    def settings(self, study: Study) -> Iterator[Setting]:
        """The settings that were published."""
        datasets, models, sets = self.grid(study)
        for dataset, model, label in product(datasets, models, (None, *sets)):
            networks = self.networks(study, dataset, model, label)
            if _published(study, dataset, networks[0]):
                yield Setting(dataset, model, label, networks)

    def cells(self, study: Study) -> list[Cell]:
        """The networks whose setting was published."""
        return [network for one in self.settings(study) for network in one.cells]

    def row(self, study: Study, one: Setting, results: "Results") -> dict[str, object]:
        """The accuracy published, and ours, with what they differ in."""
        published = _published(study, one.dataset, one.cells[0])
        assert published is not None  # see `settings`
        records, theirs = [results.training(network) for network in one.cells], published.accuracies
        samples, recipe = records[0]["samples"]["test"], one.cells[0].recipe
        ours = mean(record["accuracies"]["test"]["augmented"] for record in records)
        return {
            "dataset": one.dataset,
            "network": one.model,
            "augmentation": one.augmentation or "none",
            "published": median(theirs),
            "published_low": min(theirs),
            "published_high": max(theirs),
            "published_networks": len(theirs),
            **with_interval("replicated", ours, samples),
            "seeds": len(records),
            "difference": ours - median(theirs),
            "published_epochs": published.epochs,
            "epochs": recipe.epochs,
            "images_an_epoch": recipe.epoch_samples or "all",
            "published_width": published.width,
            "width": one.cells[0].model.arguments["width"],
            "samples": samples,
        }

    def printed(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Ranges in brackets, ours beside theirs."""
        shown = frame[["dataset", "network", "augmentation"]].assign(
            **{name: bracketed(frame, name) for name in self.ends}, difference=frame["difference"]
        )
        for name in ("epochs", "width"):
            pairs = zip(frame[f"published_{name}"], frame[name], strict=True)
            shown[f"{name}: published, here"] = [f"{theirs}, {ours}" for theirs, ours in pairs]
        return shown.assign(**{"images an epoch": frame["images_an_epoch"]})

    def heading(self, value: str) -> str:
        """The augmentation in words."""
        return "trained plain" if value == "none" else f"trained with {value}"


def _published(study: Study, dataset: str, network: TrainSpec) -> Published | None:
    return published_as(network, study.preset.datasets[dataset].source)
