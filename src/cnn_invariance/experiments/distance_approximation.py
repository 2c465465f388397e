"""The distances of units, in blocks of rising size, beside the variances that they approach a multiple of."""

from collections.abc import Iterator, Sequence

from cnn_invariance.experiments.framework import ALIKE, STRIPS, Line, ProfileExperiment, Source, choices
from cnn_invariance.experiments.framework.panels import MeasuredPanel, Panel, claimed
from cnn_invariance.statistics.evidence import FISHER
from cnn_invariance.statistics.profiles import correlation
from cnn_invariance.study import Study

VARIANCE, ALL_PAIRS = "NV", "ND[per=unit]"

SHAPE = "the two then share four fifths of their variance over layers"


@claimed(
    "With large blocks, ND is a multiple of NV.", Source.OURS, above=0.9, scale=FISHER, because=SHAPE, primary=True
)
def multiple(panel: MeasuredPanel) -> Iterator[float]:
    """correlation over layers of NV and of ND in the largest blocks, both of units."""
    return (correlation(variance, distance) for variance, *_, distance, _ in panel.by_seed())


class DistanceApproximation(ProfileExperiment):
    """``blocks``: the sizes of the blocks of samples, rising, as the option ``block_size`` takes them."""

    question = "Do distances between units tell more than their variance?"
    group = "validation"
    title = "Variances and distances of units of {model}"
    setting = (
        f"{ALIKE}, by NV and by ND of units: as the author's code, with pairs of samples inside blocks of the samples "
        f"sorted by class; and with all pairs of samples, estimated in a random order. {STRIPS}"
    )
    drawing = {"line_column": "measured_by", "ylabel": "NV, ND of units"}
    claims = (multiple,)

    transformation_sets: choices.Labels = ("rotation",)
    measures: None = None
    blocks: tuple[int, ...] = (32, 128, 512, 1024)

    def check(self, study: Study) -> None:
        """Raise InputError for blocks that do not rise."""
        choices.rising("blocks", self.blocks)

    def requests(self, study: Study) -> Sequence[str]:
        """The measures of the lines, which cells of their own hold."""
        blocks = (choices.form(f"ND[per=unit,order=class,block_size={size}]") for size in self.blocks)
        return [VARIANCE, *blocks, ALL_PAIRS]

    def panel(self, at: Panel) -> Iterator[Line]:
        """A line for NV, one for each size of the blocks, and one for all pairs."""
        names = ("NV", *(f"ND, blocks of {size:,}" for size in self.blocks), "ND, all pairs")
        samples, measures = at.study.samples(at.label), self.requests(at.study)
        if samples.count is not None:
            samples = samples.model_copy(update={"count": max(samples.count, *self.blocks)})
        for name, measure in zip(names, measures, strict=True):
            yield at.line(name, measure=measure, measures=measures, samples=samples)
