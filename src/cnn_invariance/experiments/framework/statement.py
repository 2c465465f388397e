"""The frozen statement of the claims, ``claims.yaml`` beside a preset: what was claimed, and when it was fixed.

The file is written from the experiments by ``cnn-invariance claims --statement``, and committed before the networks are
trained that confirm or refute it. A study whose claims are not those of the file is refused; so neither a threshold nor
a statistic can change in silence. Its SHA-256 stands in ``claims.csv`` and on the page. A claim that the file does not
have, and one that was looked at before the file was fixed, is *exploratory* wherever it is shown.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from cnn_invariance.experiments.framework import registry
from cnn_invariance.experiments.framework.claims import Claim
from cnn_invariance.experiments.framework.experiment import Experiment
from cnn_invariance.paper.sources import Source
from cnn_invariance.statistics.evidence import SCALES, Side
from cnn_invariance.study import Closed, Study, document
from cnn_invariance.study.document import Document, Problem

NAME = "claims.yaml"
CONFIRMING = ("laptop", "paper")
"""The presets whose results confirm or refute the claims; the others are looked at while the claims are made."""
LOOKED_AT: Mapping[str, tuple[str, ...]] = {
    "laptop": (
        "random_weights.stable",
        "activation_function.changes_structure",
        "departures.small",
        "structure.design_told",
    )
}
"""By preset, the claims whose networks had been looked at before they were fixed as they are, whatever their seeds.

Ten untrained networks of `laptop` were drawn when its seeds were 0 to 4: those of the seeds 5 to 9 were among them. Of
`activation_function` a variant was left out on MNIST because its networks failed; `departures` was given more changes,
and its claim other words; how often a design is told was counted with nearest profiles of the same dataset or set.
"""
Reading = Literal["confirmatory", "exploratory"]

HEADER = """\
# The claims of the study, fixed before the networks were trained that confirm or refute them. Written by
# `cnn-invariance claims --statement`; a study whose experiments claim something else is refused. A change needs an
# entry in CHANGELOG.md with the new SHA-256 of this file, and makes the claims exploratory on what was looked at.

"""
ANALYSIS = (
    "A condition is one dataset, one transformation set and one design; a replicate is a network trained with a "
    "seed of its own. The statistic has one value for each replicate: of a statistic of all networks together, its "
    "jackknife pseudo-value without the networks of that seed. On its scale, the mean has Student's 95 % interval "
    "over replicates; over several conditions, which are fixed, the mean over conditions is taken for each seed, "
    "and the interval is over seeds, because conditions share networks, first weights and the order of samples "
    "(corrected after results had been seen: until then the interval was that of independent conditions, by Welch "
    "and Satterthwaite, and too narrow). Supported: the whole interval lies in the claimed "
    "region. Not supported: it lies wholly outside. Depends on the set: conditions are decided against each other, "
    "or one against their mean. Undecided: else, or if a condition has fewer than two values or values that do not "
    "vary. Ranks, and how often a design is told, have intervals by a bootstrap over seeds. Primary claims, one for "
    "an experiment, are adjusted together by Holm's method; q values (Benjamini, Hochberg) are over all claims of a "
    "preset."
)


class StatedClaim(Closed):
    """A claim as it was fixed."""

    statement: str
    """What is claimed, a sentence."""
    source: Source
    """Whose statement it is."""
    primary: bool
    """Whether the experiment stands or falls by it."""
    statistic: str
    """The number that is looked at, in words."""
    scale: str
    """The scale on which its mean and interval are computed."""
    side: Side
    """The claimed region: above or below the threshold, or within the threshold, a margin, of no effect."""
    threshold: float = Field(allow_inf_nan=False)
    """In the unit of the statistic; of a margin on a log scale, a factor above 1."""
    because: str
    """Why it is this threshold or margin."""

    @classmethod
    def of(cls, claim: Claim) -> "StatedClaim":
        """A claim of an experiment."""
        rule = claim.rule
        return cls(
            statement=claim.statement,
            source=claim.source,
            primary=claim.primary,
            statistic=claim.statistic,
            scale=rule.scale.name,
            side=rule.side,
            threshold=rule.threshold,
            because=claim.because,
        )

    def faults(self) -> Iterator[tuple[str, str]]:
        """The key and the message of each value that no rule can have."""
        if self.scale not in SCALES:
            yield "scale", f"unknown scale {self.scale!r}; allowed: {', '.join(SCALES)}"
        elif self.side == "within" and self.threshold <= (1 if self.scale == "log" else 0):
            least = "1, a factor" if self.scale == "log" else "0"
            yield "threshold", f"a margin must be above {least}; received {self.threshold:g}"


class Studied(Closed):
    """What a preset says of the claims."""

    speaks_of: str
    """The designs and sizes that its results are of."""
    confirming_seeds: tuple[int, ...]
    """The seeds whose networks nobody had looked at when the claims were fixed."""
    looked_at: tuple[str, ...] = ()
    """Claims, as "experiment.claim", whose networks had been looked at all the same."""

    @classmethod
    def of(cls, study: Study) -> "Studied":
        """What is said of a preset whose networks nobody has looked at, but for those of `LOOKED_AT`.

        Its seeds, and as many after them as untrained networks need, of which there are ten.
        """
        seeds = sorted({*study.seeds, *range(min(study.seeds), min(study.seeds) + 10)})
        return cls(speaks_of=_in_words(study), confirming_seeds=tuple(seeds), looked_at=LOOKED_AT.get(study.name, ()))


class Statement(Closed):
    """The file: the analysis, what is said of each preset, and the claims of each experiment by their names."""

    analysis: str
    """How verdicts follow from results."""
    presets: dict[str, Studied]
    """By the name of a preset."""
    claims: dict[str, dict[str, StatedClaim]]
    """By the names of experiment and claim."""


class FrozenClaims:
    """The statement beside a preset, as it was read; without a file, one that has no claims."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source: Document | None = document.read(path) if path.is_file() else None

    @classmethod
    def beside(cls, preset: Path) -> "FrozenClaims":
        """The statement in the folder of a preset."""
        return cls(preset.parent / NAME)

    @cached_property
    def statement(self) -> Statement:
        """What the file states (InputError that names every line the schema refuses)."""
        if self.source is None:
            return Statement(analysis="", presets={}, claims={})
        try:
            return Statement.model_validate(self.source.content)
        except ValidationError as error:
            raise self.source.error(document.problems(error, Statement)) from None

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file; empty if there is none."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest() if self.source else ""

    def check(self, experiments: Mapping[str, Experiment]) -> None:
        """Raise InputError, one message for all, if the file and the code claim different things.

        experiments: those of the study by name, whose claims must be the stated ones
        """
        if self.source and (problems := list(self._problems(experiments))):
            raise self.source.error(problems)

    def reading(self, preset: str, seeds: Iterable[int], experiment: str, claim: str) -> Reading:
        """How results of these seeds of a preset are to be read for a claim."""
        studied = self.statement.presets.get(preset)
        stated = claim in self.statement.claims.get(experiment, {})
        if studied is None or not stated or f"{experiment}.{claim}" in studied.looked_at:
            return "exploratory"
        return "confirmatory" if set(seeds) <= set(studied.confirming_seeds) else "exploratory"

    def _problems(self, experiments: Mapping[str, Experiment]) -> Iterator[Problem]:
        for experiment, stated in self.statement.claims.items():
            if experiment not in registry.names() and experiment not in experiments:
                yield Problem(("claims", experiment), "unknown experiment; correct its name, or leave it out")
                continue
            for name, claim in stated.items():
                place = ("claims", experiment, name)
                yield from (Problem((*place, key), message) for key, message in claim.faults())
            if experiment in experiments:
                yield from _differences(experiments[experiment].claims, experiment, stated)


def _differences(claims: Iterable[Claim], experiment: str, stated: Mapping[str, StatedClaim]) -> Iterator[Problem]:
    """Where the stated claims of an experiment are not those of its class."""
    own = {claim.name: StatedClaim.of(claim) for claim in claims}
    for name in dict.fromkeys([*stated, *own]):
        place = ("claims", experiment, name)
        if name not in own:
            yield Problem(place, f"the experiment has no such claim; it has {', '.join(own) or 'none'}")
        elif name not in stated:
            yield Problem(place[:2], f"its claim {name!r} is not stated; state it, or take it out of the experiment")
        else:
            both = (stated[name].model_dump(), own[name].model_dump())
            for key, value in both[0].items():
                if value != both[1][key]:
                    yield Problem((*place, key), f"the experiment has {both[1][key]!r}, and this file {value!r}")


def _in_words(study: Study) -> str:
    """The designs, sizes and seeds of a preset."""
    preset = study.preset
    rule = {"same": "as many with an augmentation", "author": "times 1.1 ln M with an augmentation of M members"}
    designs = "; ".join(
        f"{dataset}: " + ", ".join(f"{label} ({_size(study, label, dataset)})" for label in study.models)
        for dataset in study.datasets
    )
    sets = ", ".join(
        f"{label} ({study.set(label).size} transformations{_own_count(study, label)})" for label in study.sets
    )
    images = preset.training.epoch_samples
    return (
        f"{designs}. Epochs {'of the whole training split' if images is None else f'of {images:,} images'}, "
        f"{rule[preset.training.augmentation_epochs]}. Measured on "
        f"{'all' if preset.samples.count is None else f'{preset.samples.count:,}'} samples of the "
        f"{preset.samples.split} split under {sets}. Seeds {', '.join(map(str, study.seeds))}."
    )


def _own_count(study: Study, label: str) -> str:
    """How many samples are measured under a set, where it is not the number of all sets."""
    count = study.samples(label).count
    return "" if count == study.preset.samples.count else f", {'all' if count is None else f'{count:,}'} samples"


def _size(study: Study, model: str, dataset: str) -> str:
    """The size of a design and its epochs without augmentation."""
    arguments = study.model(model, dataset).arguments
    named = [f"{name} {arguments[name]}" for name in ("width", "dense") if name in arguments]
    epochs = study.network(dataset=dataset, model=model).recipe.epochs
    return ", ".join([*named, *(["batch normalisation"] if arguments.get("batch_norm") else []), f"{epochs} epochs"])


def text(presets: Mapping[str, Studied]) -> str:
    """The file for the experiments as they are now."""
    claims = {
        name: {claim.name: StatedClaim.of(claim) for claim in found}
        for name in registry.names()
        if (found := registry.load(name).claims)
    }
    content = Statement(analysis=ANALYSIS, presets=dict(presets), claims=claims).model_dump(mode="json")
    return HEADER + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def beside(preset: Path) -> str:
    """The file for the folder of a preset: of the presets of `CONFIRMING` that are in it."""
    paths = [path for name in CONFIRMING if (path := preset.parent / f"{name}.yaml").is_file()]
    return text({path.stem: Studied.of(Study.load(path)) for path in paths})
