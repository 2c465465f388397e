"""A network that is equivariant by design, trained plain, against one that learns invariance from augmented data."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cnn_invariance.experiments.framework import DEPTH, Line, ProfileExperiment, choices
from cnn_invariance.experiments.framework.panels import Panel
from cnn_invariance.experiments.framework.profiles import ProfilePlan
from cnn_invariance.statistics.intervals import mean
from cnn_invariance.study import Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results


class InvarianceByDesign(ProfileExperiment):
    """Cells of its own, with measures that the preset's ``measures`` need not have.

    ``designed``: the label of a model that is equivariant by design, such as C4Conv to quarter turns.
    ``measures``: requests; None: those of `shown`.
    """

    question = "Is invariance by design seen by the measures as invariance by data is?"
    group = "characterisation"
    title = "{designed} trained plain, and {model} trained plain and with augmentation, under {set}"
    setting = (
        "Exploratory: no claim was stated before looking. One panel for each measure, each with its own scale. "
        "{designed} is equivariant by its design to those transformations that it is made for. All networks are "
        f"measured under the set. {DEPTH} The strips show the kinds of each network's layers."
    )
    shown = (
        *choices.HEADLINES,
        *("FittedResidual[centred=true]", "CKA", "ChannelMatch", "GEED[metric=cosine]"),
    )
    drawing = {
        "axis": "depth",
        "panel_column": "panel",
        "ylabel": "mean over the layer",
        "share_y": False,
        "columns": 3,
    }

    designed: str = "C4Conv"

    def compared(self, study: Study) -> Sequence[str]:
        """The learning model, and the designed one."""
        return (self.model, self.designed)

    def requests(self, study: Study) -> Sequence[str]:
        """The measures, whether the preset has them or not."""
        return [choices.form(one) for one in (self.shown if self.measures is None else self.measures)]

    def plans(self, study: Study) -> Sequence[ProfilePlan]:
        """A plan for each set."""
        return self.plans_by_set(study, self._panels)

    def described(self, study: Study, results: "Results") -> str:
        """The first measure at the last layer that has it: of each network under each set, mean over seeds."""
        measure, said = self.requests(study)[0], []
        for plan, dataset in ((one, name) for one in self.once(study, self.plans) for name in one.lines):
            lines = [line for line in plan.lines[dataset].get(_title(measure), ()) if line.measure == measure]
            found = {line.label: mean(values[-1] for values in line.values(results, measure)) for line in lines}
            numbers = ", ".join(f"{value:.2g} ({label})" for label, value in found.items())
            said += [f"under {plan.part} on {dataset}, {numbers}"] if found else []
        shown = f"{choices.label(measure)} at the last layer that has it: {'; '.join(said)} (described, not tested)."
        return shown if said else ""

    def _panels(self, at: Panel) -> Mapping[str, Sequence[Line]]:
        """For each measure a line for each network."""
        networks = {
            f"{self.designed}, trained plain": at.networks(model=self.designed, augmentation=None),
            f"{self.model}, trained plain": at.networks(augmentation=None),
            f"{self.model}, trained with {at.label}": at.networks(),
        }
        asked = self.requests(at.study)
        lines = [at.line(label, some, measures=asked) for label, some in networks.items()]
        return {_title(one): [line._replace(measure=one) for line in lines] for one in self.requests(at.study)}


def _title(measure: str) -> str:
    """The label of a measure, short enough for a panel.

    >>> _title("CKA"), _title("FittedResidual[centred=true]")
    ('CKA of layers', 'FittedResidual, centred')
    """
    label = choices.label(measure)
    return f"{label.partition(' of ')[0]}, centred" if "(centred=true" in label else label
