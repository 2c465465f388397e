"""The forms of same-equivariance: variance or distance, normalised or not, and the simple form."""

from collections.abc import Iterator, Mapping, Sequence

from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import BySet, Line, Panel, Source, UntestableError, choices
from cnn_invariance.experiments.framework.panels import MeasuredPanel, ProfileClaim
from cnn_invariance.statistics.evidence import Rule
from cnn_invariance.statistics.profiles import log_range
from cnn_invariance.study import Study

TVSE, SVSE = "TVSE[aggregate=mean]", "SVSE[aggregate=mean]"
NVSE = choices.HEADLINES[1]
DSES_UNIT_NORM = "DSES[normalize=true]"
COMPARED: Mapping[str, Mapping[str, str]] = {
    "variance": {"TVSE": TVSE, "SVSE": SVSE},
    "normalised": {"DSES of unit norm": DSES_UNIT_NORM, "NDSE of maps": "NDSE", "NVSE": NVSE},
    "simple": {"DSES": "DSES", "DSES of unit norm": DSES_UNIT_NORM},
    "distance": {"NDSE of maps": "NDSE", "NDSE of unit norm": "NDSE[normalize=true]"},
}
"""The forms that stand in one panel, by the names of their lines."""


def comparable(name: str, raw: str, normalised: str, primary: bool = False) -> ProfileClaim:
    """The claim that the second of two forms, the normalised one, can be compared across layers."""

    def gain(panel: MeasuredPanel) -> list[float]:
        if panel.place:
            return []
        panels = reversed(list(panel.plan.lines[panel.dataset].values()))  # of one form twice, the first is kept
        found = {line.measure: line for lines in panels for line in lines}
        if missing := [choices.label(form) for form in (raw, normalised) if form not in found]:
            raise UntestableError(f"not measured: {', '.join(missing)}")
        both = (found[form].tables(panel.results, form) for form in (raw, normalised))
        return [log_range(r["value"]) - log_range(n["value"]) for r, n in zip(*both, strict=True)]

    first, second = map(choices.label, (raw, normalised))
    statement = f"Normalised, the layers can be compared: {second} spans fewer orders of magnitude than {first}."
    words = f"log10 of the largest over the smallest layer of {first}, less that of {second}"
    return ProfileClaim(name, statement, words, Rule("above", 0.0), Source.OURS, "no gain", primary, of=gain)


class SameEquivariance(BySet):
    """Shows those of the forms of `COMPARED` that the preset has."""

    question = "Which form of same-equivariance can be compared across layers?"
    group = "validation"
    title = "Forms of same-equivariance of {model}"
    setting = (
        "A row for each comparison, with its own scale; the last is measured on twice as many samples. A column for "
        "each transformation set, with which the network is trained and under which it is measured. Layers without "
        "feature maps have no same-equivariance."
    )
    combined = True
    drawing = {
        "line_column": "form",
        "panel_column": "panel",
        "ylabel": "mean over the layer",
    }
    claims = (comparable("comparable", TVSE, NVSE, primary=True), comparable("comparable_distance", "DSES", "NDSE"))

    measures: None = None

    def requests(self, study: Study) -> Sequence[str]:
        """The forms that the preset has."""
        forms = dict.fromkeys(form for forms in COMPARED.values() for form in forms.values())
        return choices.measures(study, None, list(forms))

    def panels_of_set(self, at: Panel) -> Mapping[str, Sequence[Line]]:
        """The comparisons of two forms or more."""
        found = {name: list(self._lines(at, name)) for name in COMPARED}
        if kept := {name: lines for name, lines in found.items() if len(lines) > 1}:
            return kept
        raise InputError(f"two forms of same-equivariance are compared; received {', '.join(self.requests(at.study))}")

    def _lines(self, at: Panel, name: str) -> Iterator[Line]:
        usual, shown = at.study.samples(at.label), self.requests(at.study)
        samples = choices.share_of(usual, 1, at.label) if name == "distance" and usual.count else usual
        return (at.line(one, measure=form, samples=samples) for one, form in COMPARED[name].items() if form in shown)
