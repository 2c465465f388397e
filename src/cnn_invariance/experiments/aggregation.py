"""A feature map to one value: before or after the quotient, by mean, maximum or sum; and distances of whole maps."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING

from pydantic import Field

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import (
    Claim,
    Finding,
    Line,
    Panel,
    ProfileExperiment,
    ProfilePlan,
    choices,
    over,
    unknown,
    values,
)
from cnn_invariance.measures.requests import check
from cnn_invariance.statistics.profiles import variation
from cnn_invariance.study import Study

if TYPE_CHECKING:
    from cnn_invariance.results import Results

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
        "ND": "of units",
        "ND[aggregate=mean]": "mean of units, before",
        "ND[per=map]": "of maps",
        "ND[per=map,normalize=true]": "of maps of unit norm",
    },
}
"""The forms and the names of their lines: what has a value, or how and when (before or after the quotient) a map is
reduced to one."""
BEFORE = "NV[aggregate=mean]"


class Aggregation(ProfileExperiment):
    """``measures``: None means those of `FORMS` that the preset has."""

    question = "How should a feature map be reduced to one value?"
    group = "validation"
    title = "Forms of {form} of {model}"
    setting = (
        "One line for each form. The network is trained with the transformation set of the panel and measured under it."
    )
    shown = [form for forms in FORMS.values() for form in forms]

    seeds: int = Field(3, ge=2)

    def plans(self, study: Study) -> Sequence[ProfilePlan]:
        """A plan for NV and one for ND, where there are two or more forms of it."""
        choices.choose("model", self.compared(study), study.models)
        datasets, measures = self.on(study), self.requests(study)
        if others := [measure for measure in measures if check(measure).name not in FORMS]:
            raise InputError(f"{others[0]} is no form of {' or '.join(FORMS)}")
        by_name = {name: [one for one in measures if check(one).name == name] for name in FORMS}
        plans = [
            self.plan(
                study,
                {
                    dataset: {
                        label: [_line(Panel(study, self, dataset, label), form) for form in forms]
                        for label in self.sets(study)
                    }
                    for dataset in datasets
                },
                words={"form": name},
                setting=[self.setting, SCALE] if name == "NV" else self.setting,
                measures=forms[:1],
                log_y=name == "NV",
                line_column="form",
                ylabel=name,
                part=name.lower(),
            )
            for name, forms in by_name.items()
            if len(forms) > 1
        ]
        if not plans:
            raise InputError(f"two or more forms of NV or of ND are compared; received {', '.join(measures)}")
        return plans

    @property
    def claims(self) -> tuple[Claim, ...]:
        """That the mean before the quotient varies least from seed to seed."""
        statistic = (
            "coefficient of variation over seeds (mean over layers) of NV with the mean before the quotient, divided "
            "by the median of those of the other forms of NV"
        )
        statement = "The mean over the feature map before the quotient is the stable form."
        return (Claim("mean_before_stable", statement, statistic, "below", 1),)

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset, over the sets."""
        plan, (claim,) = self.plans(study)[0], self.claims
        for dataset, panels in plan.lines.items():
            ratios = []
            for lines in panels.values():
                found = {line.measure: variation(values(results, line.cells, str(line.measure))) for line in lines}
                before = found.pop(BEFORE, None)
                if before is not None and found and median(found.values()):
                    ratios.append(before / median(found.values()))
            reason = "" if ratios else f"{BEFORE} and another form of NV are not both shown"
            interval = over(ratios, "sets") if ratios else unknown("no pair of forms")
            yield Finding(claim, (dataset,), interval, plan.cells(dataset), reason=reason)


def _line(at: Panel, form: str) -> Line:
    return at.line(FORMS[check(form).name].get(form, choices.label(form)), measure=form)
