"""The forms of same-equivariance: variance or distance, normalised or not, and the simple form."""

from collections.abc import Mapping, Sequence

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import Line, ProfileExperiment, Source, UntestableError, choices, values
from cnn_invariance.experiments.framework.panels import MeasuredPanel, ProfileClaim
from cnn_invariance.measures.requests import check
from cnn_invariance.statistics.intervals import ANY
from cnn_invariance.statistics.profiles import log_range
from cnn_invariance.study import Study

FORMS = ("TVSE", "SVSE", "NVSE", "TDSE", "SDSE", "NDSE", "DSES", "DSES[normalize=true]")
NAMES = tuple(name for name in FORMS if "[" not in name)


def comparable(name: str, *pair: str) -> ProfileClaim:
    """The claim that the second of two forms, the normalised one, can be compared across layers."""
    raw, normalised = pair

    def gain(panel: MeasuredPanel) -> list[float]:
        measures = choices.measured_forms(panel.lines[0].cells[0].measures, pair)
        if len(measures) < 2:
            raise UntestableError(f"{raw} and {normalised} are not both measured", "no pair of forms")
        cells = [] if panel.place else panel.plan.cells(panel.dataset)  # all panels show the same cells
        both = (map(log_range, values(panel.results, cells, measure)) for measure in measures)
        return [r - n for r, n in zip(*both, strict=True)]

    statement = f"Normalised, the layers can be compared: {normalised} spans fewer orders of magnitude than {raw}."
    words = f"log10 of the largest over the smallest layer of {raw}, less that of {normalised}"
    return ProfileClaim(name, statement, words, "above", 0, Source.OURS, gain, within=ANY)


class SameEquivariance(ProfileExperiment):
    """``measures``: None means those of `FORMS` that the preset has."""

    question = "Which form of same-equivariance can be compared across layers?"
    group = "validation"
    title = "Forms of same-equivariance of {model}"
    setting = (
        "One panel for each form, each with its own scale; one line for each transformation set, of the network "
        "trained with it and measured under it. Layers without feature maps have no same-equivariance."
    )
    combined = True
    drawing = {
        "line_column": "transformations",
        "panel_column": "panel",
        "ylabel": "mean over the layer",
        "share_y": False,
        "columns": 4,
    }
    claims = (comparable("comparable", "TVSE", "NVSE"), comparable("comparable_distance", "DSES", "NDSE"))

    def requests(self, study: Study) -> Sequence[str]:
        """The forms shown (InputError for a measure that is none of them)."""
        if self.measures is None:
            measures = choices.measured_forms(study.measures, FORMS)
        else:
            measures = choices.measures(study, self.measures)
        if others := [one for one in measures if check(one).name not in NAMES]:
            raise InputError(f"{others[0]} is no form of same-equivariance; expected forms of {', '.join(NAMES)}")
        if not measures:
            raise InputError(f"no measure to show: the preset has none of {', '.join(FORMS)}")
        return measures

    def panels(self, study: Study, dataset: str) -> Mapping[str, Sequence[Line]]:
        """A panel for each form, with a line for each set."""
        places = self.at(study, dataset)
        return {
            choices.label(measure): [at.line(at.label, measure=measure) for at in places]
            for measure in self.requests(study)
        }
