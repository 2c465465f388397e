"""The accuracies that the author logged, beside those of the replication, variant by variant."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from statistics import stdev
from typing import TYPE_CHECKING, Any, NamedTuple

from cnn_invariance.experiments.framework import Claim, Finding, Source, choices
from cnn_invariance.experiments.framework.accuracies import AccuracyExperiment, Setting, bracketed
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.paper import departures, published
from cnn_invariance.paper.published import Key, Row
from cnn_invariance.statistics.equivalence import LEVEL, Difference, single, welch
from cnn_invariance.statistics.evidence import Estimate, Evidence, Rule
from cnn_invariance.statistics.intervals import mean
from cnn_invariance.study import Cell, Study, TrainSpec

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.results import Results

MARGINS = {"mnist": 0.01, "cifar10": 0.02}
"""Within which accuracies are called equal: one point on MNIST, two on CIFAR-10.

A margin must be wider than what a seed does, or no replication could meet it: the author's nine networks of one setting
lie within .004 on MNIST and .014 on CIFAR-10. It must be narrower than what a setting does: on CIFAR-10, batch
normalisation is worth .02 to .03 and another activation function or augmentation .02 to .15; on MNIST, where accuracies
are near 1, a point is half of the errors.
"""

EQUAL = Claim(
    "equal",
    "Published and replicated accuracies of one setting are equal within a margin.",
    "largest difference, over the settings of which the log has several networks, of the mean test accuracies "
    "published and replicated, in margins (1 point of accuracy on MNIST, 2 on CIFAR-10)",
    Rule("below", 1.0),
    Source.OURS,
    "the margins are wider than what a seed does, and narrower than what a setting does",
    primary=True,
)


SHOWN = ("none", "rotation", "scale", "translation", "combined")
"""The augmentations of the log in the order of the panels."""


class Compared(NamedTuple):
    """The difference of ours and theirs; ``by``: whose spread it is judged by; the verdict in words."""

    difference: Difference
    by: str
    verdict: str


class PublishedAccuracy(AccuracyExperiment):
    """The networks are those of ``accuracy``, and all that other experiments of the preset train and the log has.

    Networks that an experiment trains otherwise than the preset does are not the preset's, and not among them. Two
    rows of the log have none here: ``rotation:360``, which is one more network of ``rotation``, and ``scale:1-1``, a
    plain training for epochs that no network here has.

    networks_of: the other experiments (None: all of the preset)
    """

    question = "Do the networks of the replication reach the accuracies of the published ones?"
    claims = (EQUAL,)
    summarised = True
    title = "Published and replicated test accuracy, {on}"
    setting = (
        "Accuracy on the test split under the augmentation of the training, one random transformation for each sample. "
        "Published: the networks of the author's log of April 2021, whose variants follow from its order; his "
        "accuracies are divided by .9984, because they count the images of a batch that is dropped. Replicated: the "
        "networks of the same variant that this preset trains. Values: mean and range over networks. Difference: "
        "replicated less published, with its 95 % interval: by Welch where there are several networks on either side, "
        "and then equal or not within a margin (1 point on MNIST, 2 on CIFAR-10) by two one-sided tests at 5 %; else "
        "by the spread of the side that has several, or of the author's nine networks of SimpleConv with the same set. "
        "Reduced ranges of augmentation are in the table alone. The difference in scale between the two is the first "
        "thing to explain a difference in accuracy: epochs, images seen, width and batch are in the table."
    )
    panel, ends = "augmentation", ("published", "replicated")
    series = ("accuracy under the augmentation",)
    drawing = {"before": "published", "after": "replicated"}

    networks_of: choices.Labels = None

    def departures(self, settings: Sequence[Setting]) -> Sequence[str]:
        """None: networks with batch normalisation are compared with such networks, those without it likewise."""
        return ()

    def settings(self, study: Study) -> Iterator[Setting]:
        """The settings that were published, in the order of datasets, models and the log."""
        found: dict[tuple[str, Key], dict[object, dict[TrainSpec, None]]] = {}
        full = [study.set(label) for label in study.sets]
        shortest: dict[tuple[str, str], int] = {}  # the epochs of the grid's plain networks, which come first
        for dataset, network in self._networks(study):
            data, epochs = departures.DATASETS.get(_source(study, dataset)), network.recipe.epochs
            longer = epochs > shortest.setdefault((dataset, network.model.name), epochs or 1)
            if data and epochs and (key := published.key_of(network, data.family, full, longer=longer)):
                alike = found.setdefault((dataset, key), {})
                alike.setdefault((network.model, network.recipe, network.augmentation), {})[network] = None
        datasets, models, _ = self.grid(study)
        designs = list(dict.fromkeys(study.preset.models[label].model for label in models))
        log = {key: place for place, key in enumerate(published.settings())}
        for dataset, design in product(datasets, designs):
            here = [key for label, key in found if label == dataset and key.model == design]
            for key in sorted(here, key=lambda key: (*_first(key.variant), log.get(key, len(log)), key)):
                groups = [list(group) for group in found[dataset, key].values()]
                cells = max(groups, key=lambda group: (_batch_of_the_log(group, key), len(group)))
                yield Setting(dataset, design, key.augmentation, cells, variant=key.variant)

    def cells(self, study: Study) -> list[Cell]:
        """The networks whose setting was published."""
        return [network for one in self.settings(study) for network in one.cells]

    def row(self, study: Study, one: Setting, results: "Results") -> dict[str, object]:
        """The accuracy published, and ours, with what they differ in."""
        theirs, ours = _published(study, one), _replicated(one, results)
        network, source = one.cells[0], _source(study, one.dataset)
        family, found = departures.DATASETS[source].family, _compare(theirs, ours)
        low, high = found.difference.interval()
        images, epochs = departures.images(network, source), network.recipe.epochs
        return {
            "dataset": one.dataset,
            "network": one.model,
            "variant": one.variant,
            "augmentation": one.augmentation,
            **_range("published", [row.accuracy for row in theirs]),
            "published_networks": len(theirs) if found.by != AMBIGUOUS else 1,
            **_range("replicated", ours),
            "networks": len(ours),
            "difference": found.difference.estimate,
            "difference_low": low,
            "difference_high": high,
            "spread_of": found.by,
            "verdict": found.verdict,
            "published_epochs": theirs[0].epochs,
            "epochs": epochs,
            "published_images": theirs[0].epochs * departures.author_images(family),
            "images": epochs * images if images else None,
            "published_width": departures.sizes(one.model, family)["width"],
            "width": network.model.arguments["width"],
            "published_batch": published.batch_of(theirs[0].key),
            "batch": network.recipe.batch_size,
            "samples": results.training(network)["samples"]["test"],
        }

    def printed(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Ranges in brackets, ours beside theirs."""
        shown = frame[["dataset", "network", "variant", "augmentation"]].assign(
            published=_ranged(frame, "published"),
            n=frame["published_networks"],
            replicated=_ranged(frame, "replicated"),
            **{"n here": frame["networks"]},
            difference=[_signed(row) for row in frame.to_dict("records")],
            verdict=frame["verdict"],
        )
        for name, column in (("epochs",) * 2, ("images seen", "images"), ("width",) * 2, ("batch",) * 2):
            pairs = zip(frame[f"published_{column}"], frame[column], strict=True)
            shown[f"{name}: published, here"] = [f"{theirs:,}; {ours:,}" for theirs, ours in pairs]
        return shown

    def drawn(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """The settings with the full range of their augmentation, those of plain networks first."""
        whole = frame[~frame["augmentation"].str.contains(":")]
        return whole.sort_values("augmentation", key=lambda names: names.map(SHOWN.index), kind="stable")

    def row_name(self, row: Mapping[Any, Any]) -> str:
        """The network with its variant."""
        return row["network"] if row["variant"] == "base" else f"{row['network']}, {_short(row['variant'])}"

    def heading(self, value: str) -> str:
        """How the networks are trained: plain, or with a set."""
        return "plain" if value == "none" else value

    def findings(self, study: Study, results: "Results") -> Iterator[Finding]:
        """For each dataset, over the settings of which the log has several networks."""
        for dataset in self.on(study):
            here = [one for one in self.settings(study) if one.dataset == dataset and ":" not in str(one.augmentation)]
            several = [one for one in here if len(_sure(_published(study, one))) > 1]
            cells = [cell for one in several for cell in one.cells]
            if reason := _undecidable(several):
                yield Finding(EQUAL, (dataset,), {}, cells, reason=reason)
            elif several:
                family = departures.DATASETS[_source(study, dataset)].family
                found = [welch(_replicated(one, results), _accuracies(_published(study, one))) for one in several]
                estimate = in_margins(found, MARGINS[family], sum(len(one.cells) for one in several))
                yield Finding(EQUAL, (dataset,), cells=cells, given=Evidence(estimate))

    def _networks(self, study: Study) -> Iterator[tuple[str, TrainSpec]]:
        """The networks of the grid, and those of the other experiments, by the label of their dataset."""
        datasets, models, sets = self.grid(study)
        for dataset, model, label in product(datasets, models, (None, *sets)):
            for network in self.networks(study, dataset, model, label):
                yield dataset, network
        if not isinstance(study, Programme):
            return
        others = {name: one for name, one in {**study.beside, **study.experiments}.items() if name != self.name}
        chosen = choices.choose("experiment", self.networks_of, list(others)) if others else ()
        chosen = [name for name in chosen if not others[name].alters]
        by_spec = {study.dataset(dataset): dataset for dataset in datasets}
        for network in dict.fromkeys(network for name in chosen for network in study.networks_of(name)):
            if network.dataset in by_spec:
                yield by_spec[network.dataset], network


AMBIGUOUS = "one of several rows"
"""What a row is judged by whose variant the log does not tell from another's: by nothing."""


def in_margins(differences: Sequence[Difference], margin: float, networks: int) -> Estimate:
    """The largest of several differences, in margins, of so many networks here.

    Its upper bound is the largest of the bounds of the single differences, each by two one-sided tests at 2.5 %: all
    are equal within the margin only if each is found so, which needs no correction. That any lies beyond it is one of
    several findings, so that the lower bound is at 2.5 % over their number.
    """
    inner = [one.interval(1 - 2 * LEVEL / len(differences)) for one in differences]
    outer = [one.interval(1 - 2 * LEVEL) for one in differences]
    low = max(max(0.0, low, -high) for low, high in inner) / margin
    high = max(max(abs(low), abs(high)) for low, high in outer) / margin
    verdict = EQUAL.rule.verdict(low, high)
    reason = "some of the intervals reach beyond the margin" if verdict == "undecided" else ""
    largest = max(abs(one.estimate) for one in differences) / margin
    return Estimate(networks, largest, low, high, max(one.p(margin) for one in differences), verdict, reason)


def _undecidable(several: Sequence[Setting]) -> str:
    """Why equality cannot be tested; empty: it can."""
    if not several:
        return "this preset trains none of the settings of which the log has several networks"
    few = [f"{one.model} with {one.augmentation}" for one in several if len(one.cells) < 2]
    if not few:
        return ""
    return f"1 network here of {', '.join(few)}; two samples of networks need at least 2 on either side"


def _compare(theirs: Sequence[Row], ours: Sequence[float]) -> Compared:
    """Ours against theirs, by the spread of both, of one of them, or of the author's networks of one setting."""
    published_ones = _accuracies(theirs)
    if len(_sure(theirs)) < len(theirs):
        return Compared(Difference(mean(ours) - mean(published_ones), math.nan, math.nan), AMBIGUOUS, UNTOLD)
    if min(len(theirs), len(ours)) > 1:
        margin, found = MARGINS[theirs[0].key.dataset], welch(ours, published_ones)
        points = f"{100 * margin:g} point{'s' * (margin > 0.01)}"
        words = {"equal": f"equal within {points}", "apart": f"apart by more than {points}"}
        return Compared(found, "both", words.get(found.equivalence(margin), "undecided"))
    if len(ours) > 1:
        by, yardstick = "the networks here", list(ours)
    elif len(theirs) > 1:
        by, yardstick = "the published networks", published_ones
    else:
        by, yardstick = "the author's nine", _nine(theirs[0].key)
    found = single(ours, published_ones, yardstick)
    low, high = found.interval()
    return Compared(found, by, "within the spread" if low <= 0 <= high else "outside the spread")


UNTOLD = "the log does not tell which network it is"


def _nine(key: Key) -> list[float]:
    """The author's networks of SimpleConv with the same set; of a setting without one, those that differ the most."""
    groups = {
        each.augmentation: _accuracies(rows)
        for each, rows in published.settings().items()
        if each.dataset == key.dataset and len(rows) > 2
    }
    return groups.get(key.augmentation.partition(":")[0]) or max(groups.values(), key=stdev)


def _sure(rows: Sequence[Row]) -> list[Row]:
    """The rows whose variant the log tells."""
    return [row for row in rows if not row.key.variant.startswith(published.EITHER)]


def _accuracies(rows: Sequence[Row]) -> list[float]:
    return [row.accuracy for row in rows]


def _replicated(one: Setting, results: "Results") -> list[float]:
    return [results.training(network)["accuracies"]["test"]["augmented"] for network in one.cells]


def _source(study: Study, dataset: str) -> str:
    return study.preset.datasets[dataset].source


def _batch_of_the_log(networks: Sequence[TrainSpec], key: Key) -> bool:
    return networks[0].recipe.batch_size == published.batch_of(key)


def _first(variant: str) -> tuple[bool, bool]:
    """The base networks come first, then those with batch normalisation."""
    return variant != "base", variant != "batch_norm"


def _published(study: Study, one: Setting) -> tuple[Row, ...]:
    family = departures.DATASETS[_source(study, one.dataset)].family
    return published.of(Key(family, one.model, one.variant, str(one.augmentation)))


def _range(name: str, values: Sequence[float]) -> dict[str, float]:
    return {name: mean(values), f"{name}_low": min(values), f"{name}_high": max(values)}


def _ranged(frame: "pd.DataFrame", name: str) -> list[str]:
    """A column with its range in brackets, where there is one."""
    ranges = zip(frame[f"{name}_low"], frame[f"{name}_high"], frame[name], bracketed(frame, name), strict=True)
    return [text if low < high else f"{value:.3f}" for low, high, value, text in ranges]


def _short(variant: str) -> str:
    """A variant as the label of a row.

    >>> _short("activation=tanh"), _short("kernel=5"), _short("pooling=stride"), _short("batch_norm")
    ('tanh', '5 × 5', 'strides', 'batch norm.')
    """
    name, _, value = variant.partition("=")
    match name:
        case "kernel":
            return f"{value} × {value}"
        case "pooling":
            return "strides"
        case "batch_norm":
            return "batch norm."
    return value


def _signed(row: Mapping[Any, Any]) -> str:
    if math.isnan(row["difference_low"]):
        return f"{row['difference']:+.3f}"
    return f"{row['difference']:+.3f} [{row['difference_low']:+.3f}, {row['difference_high']:+.3f}]"
