"""Accuracy of networks trained plain or augmented, tested plain or transformed."""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import Claim, Finding, GridExperiment, Outputs, captions, choices, over
from cnn_invariance.paper import departures
from cnn_invariance.statistics.intervals import mean, with_interval
from cnn_invariance.study import Cell, MeasureSpec, Study

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.plotting import Canvas, Caption, Dot
    from cnn_invariance.results import Results

SETTING = (
    "Each network is trained plain, and with each transformation set as augmentation. Plain: "
    "accuracy under the identity. Transformed: mean accuracy over all transformations of the set, "
    "the identity included. Intervals: 95 % Wilson intervals, the samples being the independent units. "
    "Full test (in the table): plain accuracy on the whole test split (at most 10,000 samples)."
)

CLAIMS = (
    Claim(
        "augmented_keep",
        "Networks trained with the transformations keep their accuracy under them.",
        "accuracy on transformed samples of the augmented network, as a share of its accuracy on plain ones",
        "above",
        0.9,
    ),
    Claim(
        "plain_lose",
        "Networks trained without the transformations lose accuracy under them.",
        "accuracy on transformed samples of the plain network, as a share of its accuracy on plain ones",
        "below",
        0.9,
    ),
    Claim(
        "little_cost",
        "Augmentation costs little accuracy on plain samples.",
        "accuracy on plain samples of the augmented network, less that of the plain network",
        "above",
        -0.05,
    ),
)


class Tested(NamedTuple):
    """One network, by its training and its test; a measure cell for each seed."""

    dataset: str
    model: str
    augmentation: str | None
    tested_under: str
    cells: list[MeasureSpec]


class Accuracy(GridExperiment):
    """``seeds``: how many of the preset's seeds to average over.

    ``batch_norm``: networks that can have batch normalisation have it, as in the paper's tables of accuracy.
    """

    question = "Does augmentation cost accuracy on plain samples, or pay on transformed ones?"
    group = "validation"

    seeds: int = Field(1, ge=1)
    batch_norm: bool = True

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What augmentation does to accuracy."""
        return CLAIMS

    def cells(self, study: Study) -> list[Cell]:
        """Every network, plain and augmented, measured under the set it is compared on."""
        for label in self.grid(study).sets:
            choices.identity(study, label)
        measured = [cell for tested in self._tested(study) for cell in tested.cells]
        return [*(cell.network for cell in measured), *measured]

    def outputs(self, study: Study) -> Outputs:
        """A dot plot for each dataset, and one table."""
        return Outputs([f"{self.name}_{dataset}" for dataset in self.grid(study).datasets], [self.name])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the dot plots and write the table."""
        import pandas as pd

        from cnn_invariance.plotting import dot_figure

        tested = list(self._tested(study))
        frame = pd.DataFrame(_record(study, one, results) for one in tested)
        canvas.table(self.name, frame, self._caption(study, tested, "Test accuracy"), printed=_printed(frame))
        for name in self.grid(study).datasets:
            here = frame[frame["dataset"] == name]
            labels = here["tested_under"].drop_duplicates()
            panels = {label: _dots(here[here["tested_under"] == label]) for label in labels}
            figure = dot_figure(panels, xlabel="test accuracy", before="plain test", after="transformed test")
            caption = self._caption(study, [one for one in tested if one.dataset == name], f"Test accuracy on {name}")
            canvas.figure(f"{self.name}_{name}", figure, caption)

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset, over its networks and sets."""
        for dataset in self.grid(study).datasets:
            tested = [one for one in self._tested(study) if one.dataset == dataset]
            cells = [cell for one in tested for cell in one.cells]
            plain, augmented = (
                [_means(study, one, results) for one in tested if (one.augmentation is None) == without]
                for without in (True, False)
            )
            kept = over((moved / still for still, moved in augmented), "networks and sets")
            lost = over((moved / still for still, moved in plain), "networks and sets")
            cost = over((a - b for (a, _), (b, _) in zip(augmented, plain, strict=True)), "networks and sets")
            for claim, interval in zip(CLAIMS, (kept, lost, cost), strict=True):
                yield Finding(claim, (dataset,), interval, cells)

    def _tested(self, study: Study) -> Iterator[Tested]:
        for dataset, model, label in product(*self.grid(study)):
            for augmentation in (None, label):
                arguments = choices.normalised(study, dataset, model, self.batch_norm)
                given: dict[str, Any] = {"model": model, "augmentation": augmentation, "arguments": arguments}
                networks = (
                    study.network(dataset=dataset, seed=seed, **given) for seed in choices.seeds(study, self.seeds)
                )
                measured = [study.measurement(network, label) for network in networks]
                yield Tested(dataset, model, augmentation, label, measured)

    def _caption(self, study: Study, tested: Iterable[Tested], title: str) -> "Caption":
        cells = [cell for one in tested for cell in one.cells]
        return captions.caption(
            study,
            self.name,
            cells,
            title=title,
            question=self.question,
            setting=SETTING,
            departures=departures.without_normalisation(cell.network.model for cell in cells),
        )


def _means(study: Study, one: Tested, results: "Results") -> tuple[float, float]:
    """The accuracy on plain and on transformed samples, mean over seeds."""
    identity = choices.identity(study, one.tested_under)
    shares = [_accuracy(cell, results) for cell in one.cells]
    return mean(each[identity] for each in shares), mean(map(mean, shares))


def _record(study: Study, one: Tested, results: "Results") -> dict[str, object]:
    identity = choices.identity(study, one.tested_under)
    shares = [_accuracy(cell, results) for cell in one.cells]
    trainings = [results.training(cell.network) for cell in one.cells]
    asked = one.cells[0].samples
    samples = asked.count or trainings[0]["samples"][asked.split]
    return {
        "dataset": one.dataset,
        "network": one.model,
        "trained_with": one.augmentation or "none",
        "tested_under": one.tested_under,
        "epochs": one.cells[0].network.recipe.epochs,
        "seeds": len(one.cells),
        "samples": samples,
        **with_interval("plain", mean(each[identity] for each in shares), samples),
        **with_interval("transformed", mean(map(mean, shares)), samples),
        "full_test": mean(each["accuracies"]["test"]["plain"] for each in trainings),
        "full_test_samples": trainings[0]["samples"]["test"],
    }


def _accuracy(cell: MeasureSpec, results: "Results") -> list[float]:
    found = results.measure(cell).accuracy
    if found is None:
        raise InputError(f"{results.path(cell)}: has no accuracy; delete it, and it is measured again")
    return found


def _printed(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The table for a page: intervals in brackets, and what the caption says left out."""
    shown = frame[["dataset", "network", "trained_with", "tested_under", "epochs"]].copy()
    for name in ("plain", "transformed"):
        columns = zip(frame[name], frame[f"{name}_low"], frame[f"{name}_high"], strict=True)
        shown[name] = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in columns]
    return shown.assign(full_test=frame["full_test"])


def _dots(table: "pd.DataFrame") -> list["Dot"]:
    from cnn_invariance.plotting import Dot, looks

    names = {True: "trained plain", False: "trained with the transformations"}
    chosen = dict(zip(names.values(), looks(2), strict=True))
    return [
        Dot(
            row["network"],
            name := names[row["trained_with"] == "none"],
            chosen[name],
            (row["plain"], row["plain_low"], row["plain_high"]),
            (row["transformed"], row["transformed_low"], row["transformed_high"]),
        )
        for row in table.to_dict("records")
    ]
