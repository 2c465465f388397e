"""A feature map to one value: before or after the quotient, by mean, maximum or sum; and distances of whole maps."""

from collections.abc import Sequence
from statistics import median

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import ProfileExperiment, ProfilePlan, Source, UntestableError, choices
from cnn_invariance.experiments.framework.panels import MeasuredPanel, claimed
from cnn_invariance.measures.requests import check
from cnn_invariance.statistics.intervals import ANY
from cnn_invariance.statistics.profiles import variation
from cnn_invariance.study import Study

SCALE = "The scale is logarithmic, without place for 0. Before the quotient, the mean and the sum are one form."
FORMS = {
    "NV": {
        "NV": "of units",
        "NV[aggregate=mean]": "mean, before",
        "NV[aggregate=max]": "max, before",
        "NV[aggregate=sum]": "sum, before",
        "NV[aggregate=mean,order=after]": "mean, after",
        "NV[aggregate=max,order=after]": "max, after",
        "NV[aggregate=sum,order=after]": "sum, after",
    },
    "ND": {
        "ND": "of maps",
        "ND[normalize=true]": "of maps of unit norm",
        "ND[per=unit]": "of units",
        "ND[per=unit,aggregate=mean]": "mean of units, before",
    },
}
"""The forms and the names of their lines: what has a value, or how and when (before or after the quotient) a map is
reduced to one."""
BEFORE = "NV[aggregate=mean]"
STABLE = "The mean over the feature map before the quotient is the stable form."


@claimed(STABLE, Source.OURS, below=1, over="sets", within=ANY)
def mean_before_stable(panel: MeasuredPanel) -> list[float]:
    """coefficient of variation over seeds (mean over layers) of NV with the mean before the quotient, divided by the
    median of those of the other forms of NV.
    """
    found = {line.measure: variation(panel.profiles(place)) for place, line in enumerate(panel.lines)}
    before = found.pop(BEFORE, None)
    if before is None or not found or not median(found.values()):
        raise UntestableError(f"{BEFORE} and another form of NV are not both shown", "no pair of forms")
    return [before / median(found.values())]


class Aggregation(ProfileExperiment):
    """``measures``: None means those of `FORMS` that the preset has."""

    question = "How should a feature map be reduced to one value?"
    group = "validation"
    title = "Forms of {form} of {model}"
    setting = (
        "One line for each form. The network is trained with the transformation set of the panel and measured under it."
    )
    shown = [form for forms in FORMS.values() for form in forms]
    claims = (mean_before_stable,)

    seeds: int = Field(3, ge=2)

    def plans(self, study: Study) -> Sequence[ProfilePlan]:
        """A plan for NV and one for ND, where there are two or more forms of it."""
        datasets, measures = self.grid(study).datasets, self.requests(study)
        if others := [measure for measure in measures if check(measure).name not in FORMS]:
            raise InputError(f"{others[0]} is no form of {' or '.join(FORMS)}")
        by_name = {name: [one for one in measures if check(one).name == name] for name in FORMS}
        plans = [self._plan(study, datasets, name, forms) for name, forms in by_name.items() if len(forms) > 1]
        if not plans:
            raise InputError(f"two or more forms of NV or of ND are compared; received {', '.join(measures)}")
        return plans

    def _plan(self, study: Study, datasets: Sequence[str], name: str, forms: Sequence[str]) -> ProfilePlan:
        names = {form: FORMS[name].get(form, choices.label(form)) for form in forms}
        lines = {
            dataset: {
                at.label: [at.line(label, measure=form) for form, label in names.items()]
                for at in self.at(study, dataset)
            }
            for dataset in datasets
        }
        setting = [self.setting, SCALE] if name == "NV" else self.setting
        changes = {"measures": forms[:1], "log_y": name == "NV", "line_column": "form", "ylabel": name}
        return self.plan(study, lines, {"form": name}, setting=setting, part=name.lower(), **changes)
