"""Accuracy of networks trained plain or augmented, tested plain or transformed."""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import captions, choices
from cnn_invariance.experiments.framework.claims import Claim, Finding, over
from cnn_invariance.experiments.framework.statistics import mean, with_interval
from cnn_invariance.paper import departures
from cnn_invariance.study import Cell, MeasureSpec, Outputs, Study

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.plotting import Canvas, Dot
    from cnn_invariance.results import Results

QUESTION = "Does augmentation cost accuracy on plain samples, or pay on transformed ones?"

SETTING = (
    "Each network is trained plain, and with each transformation set as augmentation. Plain: "
    "accuracy under the identity. Transformed: mean accuracy over all transformations of the set, "
    "the identity included. Intervals: 95 % Wilson intervals, the samples being the independent units. "
    "Full test (in the table): plain accuracy on the whole test split (at most 10,000 samples)."
)

CLAIMS = (
    Claim(
        name="augmented_keep",
        statement="Networks trained with the transformations keep their accuracy under them.",
        statistic="accuracy on transformed samples of the augmented network, as a share of its accuracy on plain ones",
        side="above",
        threshold=0.9,
    ),
    Claim(
        name="plain_lose",
        statement="Networks trained without the transformations lose accuracy under them.",
        statistic="accuracy on transformed samples of the plain network, as a share of its accuracy on plain ones",
        side="below",
        threshold=0.9,
    ),
    Claim(
        name="little_cost",
        statement="Augmentation costs little accuracy on plain samples.",
        statistic="accuracy on plain samples of the augmented network, less that of the plain network",
        side="above",
        threshold=-0.05,
    ),
)


class Options(choices.Choice):
    """``seeds``: how many of the preset's seeds to average over.

    ``batch_norm``: networks that can have batch normalisation have it, as in the paper's tables of accuracy.
    """

    seeds: int = Field(1, ge=1)
    batch_norm: bool = True


class Row(NamedTuple):
    """One network, by its training and its test; a measure cell for each seed."""

    dataset: str
    model: str
    augmentation: str | None
    tested_under: str
    cells: list[MeasureSpec]


def cells(study: Study, options: Options) -> list[Cell]:
    """Every network, plain and augmented, measured under the set it is compared on."""
    for label in options.of(study).sets:
        choices.identity(study, label)
    measured = [cell for row in _rows(study, options) for cell in row.cells]
    return [*(cell.network for cell in measured), *measured]


def outputs(study: Study, options: Options) -> Outputs:
    """A dot plot for each dataset, and one table."""
    return Outputs([f"accuracy_{name}" for name in options.of(study).datasets], ["accuracy"])


def draw(study: Study, options: Options, results: "Results", canvas: "Canvas") -> None:
    """Draw the dot plots and write the table."""
    import pandas as pd

    from cnn_invariance.plotting import dot_figure

    rows = list(_rows(study, options))
    frame = pd.DataFrame(_record(study, row, results) for row in rows)
    canvas.table("accuracy", frame, _caption(study, rows, "Test accuracy"), printed=_printed(frame))
    for name in options.of(study).datasets:
        here = frame[frame["dataset"] == name]
        labels = here["tested_under"].drop_duplicates()
        panels = {label: _dots(here[here["tested_under"] == label]) for label in labels}
        figure = dot_figure(panels, xlabel="test accuracy", before="plain test", after="transformed test")
        caption = _caption(study, [row for row in rows if row.dataset == name], f"Test accuracy on {name}")
        canvas.figure(f"accuracy_{name}", figure, caption)


def findings(study: Study, options: Options, results: "Results") -> Iterator[Finding]:
    """For each dataset, over its networks and sets."""
    for dataset in options.of(study).datasets:
        rows = [row for row in _rows(study, options) if row.dataset == dataset]
        cells = [cell for row in rows for cell in row.cells]
        plain, augmented = (
            [_means(study, row, results) for row in rows if (row.augmentation is None) == without]
            for without in (True, False)
        )
        kept = over((moved / still for still, moved in augmented), "networks and sets")
        lost = over((moved / still for still, moved in plain), "networks and sets")
        cost = over((a - b for (a, _), (b, _) in zip(augmented, plain, strict=True)), "networks and sets")
        for claim, interval in zip(CLAIMS, (kept, lost, cost), strict=True):
            yield Finding(claim, dataset, interval, cells)


def _means(study: Study, row: Row, results: "Results") -> tuple[float, float]:
    """The accuracy on plain and on transformed samples, mean over seeds."""
    identity = choices.identity(study, row.tested_under)
    shares = [_accuracy(cell, results) for cell in row.cells]
    return mean(each[identity] for each in shares), mean(map(mean, shares))


def _rows(study: Study, options: Options) -> Iterator[Row]:
    for dataset, model, label in product(*options.of(study)):
        for augmentation in (None, label):
            arguments = choices.normalised(study, dataset, model, options.batch_norm)
            networks = (
                study.network(dataset=dataset, model=model, augmentation=augmentation, seed=seed, arguments=arguments)
                for seed in choices.seeds(study, options.seeds)
            )
            measured = [study.measurement(network, label) for network in networks]
            yield Row(dataset, model, augmentation, label, measured)


def _record(study: Study, row: Row, results: "Results") -> dict[str, object]:
    identity = choices.identity(study, row.tested_under)
    shares = [_accuracy(cell, results) for cell in row.cells]
    trainings = [results.training(cell.network) for cell in row.cells]
    asked = row.cells[0].samples
    samples = asked.count or trainings[0]["samples"][asked.split]
    return {
        "dataset": row.dataset,
        "network": row.model,
        "trained_with": row.augmentation or "none",
        "tested_under": row.tested_under,
        "epochs": row.cells[0].network.recipe.epochs,
        "seeds": len(row.cells),
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


def _caption(study: Study, rows: Iterable[Row], title: str) -> str:
    cells = [cell for row in rows for cell in row.cells]
    return captions.caption(
        study,
        "accuracy",
        cells,
        title=title,
        question=QUESTION,
        setting=SETTING,
        departures=departures.without_normalisation(cell.network.model for cell in cells),
    )
