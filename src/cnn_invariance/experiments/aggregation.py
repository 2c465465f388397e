"""A feature map to one value: before or after the quotient, by mean, maximum or sum; and distances of whole maps."""

import math
from collections.abc import Sequence
from statistics import median

import numpy as np
from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import ProfileExperiment, ProfilePlan, Source, UntestableError, choices
from cnn_invariance.experiments.framework.panels import MeasuredPanel, claimed
from cnn_invariance.measures.requests import check
from cnn_invariance.statistics.evidence import jackknife
from cnn_invariance.statistics.groups import log_ratio
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
DISTINCT = ("NV", "NV[aggregate=max]", "NV[aggregate=max,order=after]")
"""The other forms whose layer means are other numbers: the mean and the sum after the quotient are those of units."""
STABLE = "The mean over the feature map before the quotient varies no more over seeds than the other forms."


@claimed(STABLE, Source.OURS, below=math.log2(1.1), because="at most a tenth more variable", primary=True)
def mean_before_stable(panel: MeasuredPanel) -> list[float]:
    """log2 of the coefficient of variation over seeds (mean over layers) of NV with the mean before the quotient, less
    that of the median of the distinct other forms: of units, the maximum before and after (jackknife over seeds).
    """
    found = {line.measure: panel.profiles(place) for place, line in enumerate(panel.lines)}
    before, rivals = found.pop(BEFORE, None), [found[form] for form in DISTINCT if form in found]
    if before is None or not rivals:
        raise UntestableError(f"{BEFORE} and another distinct form of NV are not both shown")

    def gain(seeds: Sequence[np.ndarray]) -> float:
        one, *others = (variation(list(form)) for form in zip(*seeds, strict=True))
        return log_ratio([one], [median(others)])

    return jackknife(gain, [np.array(each) for each in zip(before, *rivals, strict=True)])


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
