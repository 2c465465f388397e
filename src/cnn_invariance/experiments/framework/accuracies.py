"""Experiments on the test accuracy of networks, plain and augmented: dot plots, and a table."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.choice import Models
from cnn_invariance.experiments.framework.experiment import Outputs
from cnn_invariance.paper import captions, departures
from cnn_invariance.statistics.intervals import mean
from cnn_invariance.study import MeasureSpec, Study, TrainSpec

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.plotting import Canvas, Caption, Dot
    from cnn_invariance.results import Results


OUTPUTS = ("Consistency", "TopChange", "TopProbabilityChange", "OutputKL")
"""Measures of the output, which stand beside accuracies where cells hold them."""


class Setting(NamedTuple):
    """One setting by its labels, with a cell for each seed; ``augmentation`` None: trained plain.

    cells:   networks or their measurements; ``under``: the label of the set they are tested under
    variant: of the design, where several are compared
    """

    dataset: str
    model: str
    augmentation: str | None
    cells: Sequence[Any]
    under: str = ""
    variant: str = ""


class AccuracyExperiment(Models):
    """Class variables:

    title:   of the figure and the table, which may name the datasets: ``{on}``
    panel:   the column of the table whose values have a panel each
    ends:    the columns whose values stand at the hollow and at the full dot
    series:  what the dots of a panel are
    drawing: further arguments of `plotting.dot_figure`

    Fields: ``seeds``: how many of the preset's seeds to average over; ``batch_norm``: networks that can have batch
    normalisation have it, as in the author's comparison of accuracies; ``batch_size``: samples in a step (None: as
    the preset has it; the author's comparison has 64).
    """

    group = "validation"
    combined = True
    of_profiles = False
    title: ClassVar[str]
    panel: ClassVar[str]
    ends: ClassVar[tuple[str, str]]
    series: ClassVar[Sequence[str]]
    drawing: ClassVar[Mapping[str, Any]]

    seeds: int = Field(5, ge=1)
    batch_norm: bool = True
    batch_size: int | None = Field(None, ge=1)

    @abstractmethod
    def settings(self, study: Study) -> Iterator[Setting]:
        """The settings compared."""

    @abstractmethod
    def row(self, study: Study, one: Setting, results: "Results") -> dict[str, object]:
        """The row of a setting in the table, which has the columns ``dataset`` and ``network``."""

    @abstractmethod
    def printed(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """The table for a page."""

    def place(self, row: Mapping[Any, Any]) -> int:
        """Which of the series a row is of."""
        return 0

    def drawn(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """The rows of the table that figures show."""
        return frame

    def row_name(self, row: Mapping[Any, Any]) -> str:
        """The name of the row of a figure, from a row of the table."""
        return str(row["network"])

    def heading(self, value: Any) -> str:
        """The title of a panel, from the value of its column."""
        return str(value)

    def networks(self, study: Study, dataset: str, model: str, label: str | None) -> list[TrainSpec]:
        """The networks of a setting, one for each seed."""
        arguments = choices.normalised(study, dataset, model, self.batch_norm)
        recipe = {} if self.batch_size is None else {"batch_size": self.batch_size}
        given: dict[str, Any] = {"model": model, "augmentation": label, "arguments": arguments, "recipe": recipe}
        return [study.network(dataset=dataset, seed=seed, **given) for seed in choices.seeds(study, self.seeds)]

    def outputs(self, study: Study) -> Outputs:
        """A figure, unless there is no setting, and a table of all settings."""
        found = [self.name] if any(True for _ in self.settings(study)) else []
        return Outputs(found, [self.name])

    def draw(self, study: Study, results: "Results", canvas: "Canvas") -> None:
        """Draw the dot plots, a row for each dataset, and write the table."""
        import pandas as pd

        from cnn_invariance.plotting import dot_figure

        settings = list(self.settings(study))
        frame = pd.DataFrame(self.row(study, one, results) for one in settings)
        caption = self._caption(study, settings)
        canvas.table(self.name, frame, caption, printed=self.printed(frame))
        rows = {
            str(dataset): {
                self.heading(title): self._dots(group) for title, group in here.groupby(self.panel, sort=False)
            }
            for dataset, here in self.drawn(frame).groupby("dataset", sort=False)
        }
        if rows:
            canvas.figure(self.name, dot_figure(rows, xlabel="test accuracy", **self.drawing), caption)

    def departures(self, settings: Sequence[Setting]) -> Sequence[str]:
        """What differs from the author's comparison of accuracies, beyond the sizes that captions compare."""
        networks = [cell.network for one in settings for cell in one.cells]
        plain = departures.without_normalisation(network.model for network in networks)
        return [*plain, *departures.other_batches(networks)]

    def _caption(self, study: Study, settings: Sequence[Setting]) -> "Caption":
        return captions.caption(
            study,
            self.name,
            [cell for one in settings for cell in one.cells],
            title=self.title.format(on=" and ".join(dict.fromkeys(one.dataset for one in settings))),
            question=self.question,
            setting=self.setting,
            departures=self.departures(settings),
            accuracies=True,
        )

    def _dots(self, table: "pd.DataFrame") -> "list[Dot]":
        from cnn_invariance.plotting import Dot, looks

        chosen = list(zip(self.series, looks(len(self.series)), strict=True))
        return [
            Dot(self.row_name(row), *chosen[self.place(row)], *(_bounded(row, name) for name in self.ends))
            for row in table.to_dict("records")
        ]


def accuracies(cell: MeasureSpec, results: "Results") -> list[float]:
    """The accuracy of a measured network under each transformation (InputError if it was not measured)."""
    found = results.measure(cell).accuracy
    if found is None:
        raise InputError(f"{results.path(cell)}: has no accuracy; delete it, and it is measured again")
    return found


def outputs_of(cells: Sequence[MeasureSpec], results: "Results") -> dict[str, float]:
    """The measures of the output that all of some cells hold, mean over the cells, by their names."""
    held = [name for name in OUTPUTS if all(name in cell.measures for cell in cells)]
    return {name: mean(float(results.values(cell, name)[0]) for cell in cells) for name in held}


def bracketed(frame: "pd.DataFrame", name: str) -> list[str]:
    """A column with the bounds that stand in the columns ``<name>_low`` and ``<name>_high``, in brackets."""
    rows = (_bounded(row, name) for row in frame.to_dict("records"))
    return [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in rows]


def _bounded(row: Mapping[Any, Any], name: str) -> tuple[float, float, float]:
    return row[name], row[f"{name}_low"], row[f"{name}_high"]
