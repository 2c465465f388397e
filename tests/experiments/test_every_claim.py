"""Every claim of every experiment, on made-up results.

It comes out supported, not supported, depending on the set where it has several conditions, and undecided.
"""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
import yaml

from cnn_invariance.experiments.aggregation import FORMS
from cnn_invariance.experiments.framework import registry
from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.experiments.measure_comparison import MeasureComparison
from cnn_invariance.experiments.same_equivariance import COMPARED
from cnn_invariance.measures.requests import check
from cnn_invariance.study import MeasureSpec, ResponseSpec, Study, TrainSpec
from helpers_experiments import PRESET, Profiles, findings, kinds, range_share

ALPHAS = (0.5, 0.9, 0.95)
SIMPLE = ("rotation", "scale", "translation")
Factor = Callable[[MeasureSpec, str, float], Any]
"""What an effect makes of a base profile: a factor, of all layers or (L,) of each."""


class Case(NamedTuple):
    """A claim, and effects for which it comes out each way.

    factor:    of a profile that falls with depth, for an effect
    supported: the effect under which the claim holds; ``refuted``: under which it does not
    between:   effects of even and of odd seeds that leave the claim undecided
    first:     whether a cell is of the condition that is decided against the others; None: there is one condition
    options:   of the experiment
    one:       its options for one seed; None: it refuses one seed
    """

    experiment: str
    claim: str
    factor: Factor
    supported: float
    refuted: float
    between: tuple[float, float]
    first: Callable[[MeasureSpec], bool] | None = lambda cell: cell.transformations.name == "rotation"
    options: Mapping[str, Any] = {"seeds": 5}
    one: Mapping[str, Any] | None = {"seeds": 1}


def where(chosen: Callable[[MeasureSpec, str], bool]) -> Factor:
    """The profiles of some cells are higher by the effect."""
    return lambda cell, measure, effect: 1 + effect * chosen(cell, measure)


def own_layer(chosen: Callable[[MeasureSpec], bool]) -> Factor:
    """Of some networks the layer of the number of the seed is higher by the effect: all pairs of seeds differ alike."""

    def factor(cell: MeasureSpec, _: str, effect: float) -> np.ndarray:
        found = np.ones(len(kinds(cell.network.model)))
        found[cell.network.seed % len(found)] += effect * chosen(cell)
        return found

    return factor


def zigzag(chosen: Callable[[str], bool]) -> Factor:
    """The profiles of some measures have another shape."""

    def factor(cell: MeasureSpec, measure: str, effect: float) -> np.ndarray:
        return 1 + effect * chosen(measure) * (-1.0) ** np.arange(len(kinds(cell.network.model)))

    return factor


def scattered(chosen: Callable[[str], bool]) -> Factor:
    """Seeds differ by a twentieth, and under some measures by so many times as much."""

    def factor(cell: MeasureSpec, measure: str, effect: float) -> float:
        return 1 + 0.05 * scatter(cell) * (effect if chosen(measure) else 1)

    return factor


def changed(chosen: Callable[[MeasureSpec], bool]) -> Factor:
    """The layers of seeds differ by a hundredth, and some networks are higher by so many hundredths."""

    def factor(cell: MeasureSpec, _: str, effect: float) -> np.ndarray:
        apart = random(cell.network.key + "layers").normal(size=len(kinds(cell.network.model)))
        return 1 + 0.01 * apart + 0.01 * effect * chosen(cell)

    return factor


def scatter(cell: MeasureSpec) -> float:
    """A number of about 0 and of spread 1 for each network and set."""
    return float(random(cell.network.key + cell.transformations.name).normal())


def separating(name: str) -> Factor:
    """An augmented network is lower by the effect under one measure, and by a tenth under the others."""

    def factor(cell: MeasureSpec, measure: str, effect: float) -> float:
        lead = effect if check(measure).name == name else 0.1
        lead = -lead if check(measure).name == "Goodfellow" else lead
        return 1 if cell.network.augmentation is None else 1 - lead

    return factor


def spanning(raw: str) -> Factor:
    """One layer lies above the others by ten times, and of one measure by the effect more orders of magnitude."""

    def factor(cell: MeasureSpec, measure: str, effect: float) -> np.ndarray:
        found = np.ones(len(kinds(cell.network.model)))
        found[2] = 10.0 ** (2 + effect * (check(measure).name == raw))
        return found

    return factor


def pooled(cell: MeasureSpec, measure: str, effect: float) -> np.ndarray:
    """TI-pooling's NV is so many times as high from its pooling over transformations on."""
    layers = kinds(cell.network.model)
    place = [*layers, "PathMaxPool"].index("PathMaxPool")
    return np.where(np.arange(len(layers)) < place, 1.0, effect)


def widest(cell: MeasureSpec, _: str) -> bool:
    """Whether the cell is measured at the full range, by a network trained at half of it."""
    own = PRESET["transformation_sets"][cell.transformations.name]["parameters"]
    return cell.transformations != cell.network.augmentation and cell.transformations.parameters == own


def untrained(cell: MeasureSpec, _: str = "") -> bool:
    return cell.network.recipe.epochs == 0


def early(cell: MeasureSpec, measure: str, effect: float) -> float:
    return 2 if cell.epoch == 0 else 1 + effect * (cell.epoch == 2)


def tilted(positive: Callable[[MeasureSpec], bool], negative: Callable[[MeasureSpec], bool]) -> Factor:
    """Profiles rise with depth by the effect: of some networks for a positive one, of others for a negative one."""

    def factor(cell: MeasureSpec, _: str, effect: float) -> np.ndarray:
        depth = np.linspace(0, 1, len(kinds(cell.network.model)))
        return 1 + abs(effect) * depth * (positive if effect > 0 else negative)(cell)

    return factor


def of_design(cell: MeasureSpec) -> bool:
    return cell.network.model.name == "SimpleConv"


def of_set(cell: MeasureSpec) -> bool:
    return cell.transformations.name == "rotation"


def of_training(cell: MeasureSpec) -> bool:
    return cell.network.augmentation is not None


def of_dataset(cell: MeasureSpec) -> bool:
    return cell.network.dataset.name == "cifar10"


def simple_conv(cell: MeasureSpec) -> bool:
    return cell.network.model.name == "SimpleConv"


def variant(experiment: str, argument: str, base: object) -> Case:
    """A part of the network that changes the structure, or does not."""
    other = changed(lambda cell: cell.network.model.arguments[argument] != base)
    return Case(experiment, "changes_structure", other, 10, 0, (0, 3.2))


BOTH = {"datasets": ["mnist5k", "cifar10"], "transformation_sets": ["rotation", "scale"], "seeds": 5}
ALONE = {"datasets": ["mnist5k"], "transformation_sets": ["rotation", "scale"], "seeds": 5}
SMALL, LARGE, BETWEEN = 0.02, 0.5, (0.02, 0.9)
CASES = (
    Case("dataset_size", "stable_from_tenth", where(lambda c, _: c.samples.count in (40, 20)), SMALL, LARGE, BETWEEN),
    Case("dataset_subset", "same_profile", where(lambda c, _: c.samples.split == "train"), SMALL, LARGE, BETWEEN),
    Case(
        "dataset_transfer", "profile_changes", where(lambda c, _: c.dataset != c.network.dataset), LARGE, SMALL, BETWEEN
    ),
    Case(
        "transformation_samples",
        "stable",
        where(lambda cell, _: cell.transformations.parameters["n"] in (8, 5)),
        SMALL,
        LARGE,
        BETWEEN,
        first=lambda cell: cell.transformations.parameters["n"] == 8,
    ),
    Case("transformation_range", "rises_beyond", where(widest), 0.4, -0.3, (-0.3, 0.7)),
    Case(
        "transformation_diversity",
        "specific",
        where(lambda cell, _: cell.transformations == cell.network.augmentation),
        -0.4,
        0.1,
        (-0.2, 0.25),
        first=lambda cell: cell.transformations.name == "rotation",
    ),
    Case(
        "random_initialization",
        "nearly_coincide",
        own_layer(lambda cell: True),
        SMALL,
        8.0,
        (0, 1.0),
        one=None,
    ),
    Case(
        "random_weights",
        "stable",
        own_layer(untrained),
        SMALL,
        8.0,
        (0, 1.0),
        options={"networks": 5, "seeds": 5},
        one={"networks": 2, "seeds": 1},
    ),
    *(
        Case(
            "random_weights",
            claim,
            where(untrained),
            *effects,
            BETWEEN,
            options={"networks": 5, "seeds": 5},
            one={"networks": 2, "seeds": 1},
        )
        for claim, effects in {"as_trained": (SMALL, LARGE), "own_structure": (LARGE, SMALL)}.items()
    ),
    Case("during_training", "then_stable", where(lambda cell, _: cell.epoch == 6), SMALL, LARGE, BETWEEN),
    Case("during_training", "early", early, SMALL, 0.8, (0.2, 0.9)),
    Case("stratified", "similar_shape", zigzag(lambda measure: "stratified" in measure), 0.01, 1.0, (0.02, 0.3)),
    Case(
        "distance_approximation",
        "multiple",
        zigzag(lambda measure: "block_size=1024" in measure),
        0.01,
        1.0,
        (0.02, 0.3),
        options={"transformation_sets": ["rotation", "scale"], "seeds": 5},
    ),
    Case(
        "augmentation_intensity",
        "lower",
        where(lambda cell, _: cell.network.augmentation == cell.transformations),
        -0.4,
        0.2,
        (-0.2, 0.25),
    ),
    Case(
        "augmentation_intensity",
        "monotone",
        lambda cell, _, effect: np.exp(3 * effect * range_share(cell)),
        -0.2,
        0.2,
        (-0.2, 0.3),
    ),
    Case(
        "aggregation",
        "mean_before_stable",
        scattered(lambda measure: measure == "NV[aggregate=mean]"),
        0.2,
        5,
        (0.5, 2),
        one=None,
    ),
    variant("batch_normalization", "batch_norm", False),
    variant("activation_function", "activation", "elu"),
    variant("kernel_size", "kernel", 3),
    variant("max_pooling", "pooling", "max"),
    Case(
        "departures",
        "small",
        changed(lambda cell: cell.network.recipe.batch_size == 256),
        0,
        10,
        (0, 3.2),
        first=simple_conv,
        options={"transformation_sets": ["rotation"], "changes": ["batches of 256"], "seeds": 5},
        one=None,
    ),
    *(
        Case(
            experiment,
            claim,
            scattered(lambda measure: check(measure)["alpha"] == 0.95),
            5,
            0.5,
            (0.5, 3),
            options={"alphas": ALPHAS, "seeds": 5},
            one=None,
        )
        for experiment, claim in {
            "goodfellow_alpha": "unstable_at_extremes",
            "goodfellow_parts": "unstable_global",
        }.items()
    ),
    *(
        Case("measure_comparison", f"{name}_separates_best", separating(name), 0.9, 0.005, (0.16, 0.16))
        for name in ("NV", "ND")
    ),
    *(
        Case("same_equivariance", claim, spanning(raw), 1, -1, (-1, 1.5))
        for claim, raw in {"comparable": "TVSE", "comparable_distance": "DSES"}.items()
    ),
    *(
        Case(
            "ti_pooling",
            claim,
            pooled,
            0.2,
            2,
            between,
            first=lambda cell: cell.transformations.parameters["n"] == 25,
            options={"transformation_sets": ["rotation", "turns"], "seeds": 5},
        )
        for claim, between in {"invariant_after": (0.3, 2.2), "more_than_data": (0.5, 2.8)}.items()
    ),
    Case("accuracy", "augmented_keep", where(lambda *_: False), 1.0, 0.5, (0.97, 0.8)),
    Case("accuracy", "plain_lose", where(lambda *_: False), 0.5, 0.98, (0.97, 0.8)),
    Case("accuracy", "little_cost", where(lambda *_: False), 0.0, -0.2, (-0.15, 0.1)),
    Case("feature_maps", "visibly", where(lambda *_: False), 0.5, -0.5, (-0.5, 0.75)),
    Case("structure", "design_not_training", tilted(of_design, of_training), 2, -2, (2, -2), None, BOTH, None),
    Case("structure", "training_negligible", tilted(of_design, of_training), 2, -2, (2, -0.7), None, BOTH, None),
    Case("structure", "set", tilted(of_set, of_design), 2, -2, (0.06, -0.2), None, BOTH, None),
    Case("structure", "dataset", tilted(of_dataset, of_design), 2, -2, (0.06, -0.2), None, BOTH, None),
    Case(
        "structure",
        "design_told",
        tilted(of_design, lambda cell: of_design(cell) == of_set(cell)),
        2,
        -2,
        (0.001, -0.001),
        None,
        ALONE,
        None,
    ),
)
ELSEWHERE = {("published_accuracy", "equal")}
"""Tried in ``test_published_accuracy.py``: its results are accuracies alone, and its verdict is of one number."""


def random(name: str) -> np.random.Generator:
    return np.random.default_rng(crc32(name.encode()))


class MadeUp(Profiles):
    """Results of a case: base profiles with a little noise, times what the effect of each cell makes of them."""

    def __init__(self, case: Case, effect: Callable[[MeasureSpec], float]) -> None:
        def values(cell: MeasureSpec, measure: str) -> np.ndarray:
            layers = kinds(cell.network.model)
            place = np.cumsum([not kind.startswith("BatchNorm") for kind in layers]) - 1  # which are left out
            noise = 1 + 0.002 * random(cell.key + measure).normal(size=len(layers))
            return (0.9 - 0.4 * place / place[-1]) * noise * case.factor(cell, measure, effect(cell))

        super().__init__(values)
        object.__setattr__(self, "case", case)
        object.__setattr__(self, "effect", effect)

    def training(self, spec: TrainSpec) -> dict[str, Any]:
        return {"classes": 10}

    def measure(self, spec: MeasureSpec) -> SimpleNamespace:
        """Accuracies of 90 % on plain samples, of which the effect is kept, or to which it is added."""
        effect, claim = self.effect(spec), self.case.claim
        plain = 0.9 + 0.003 * random(spec.key).normal()
        if spec.network.augmentation is not None and claim == "little_cost":
            plain += effect
        concerned = (spec.network.augmentation is None) == (claim == "plain_lose")
        share = effect if concerned and claim != "little_cost" else 0.9
        size, identity = spec.transformations.size, spec.transformations.build().identity
        mean = 0.1 + (share + 0.003 * random("share" + spec.key).normal()) * (plain - 0.1)
        accuracy = [(mean * size - plain) / (size - 1)] * size
        accuracy[identity] = plain
        return SimpleNamespace(accuracy=accuracy)

    def responses(self, spec: ResponseSpec) -> SimpleNamespace:
        """Maps that vary over transformations by a tenth, and the least invariant by the effect's decades more."""
        least = 0.1 * 10 ** self.effect(spec.measured)

        def variations(layer_index: int) -> pd.DataFrame:
            noise = random(f"{spec.key} {layer_index}").normal(1, 0.05, 2)
            both = {"role": ["most", "least"], "variation": noise * [0.1, least]}
            return pd.DataFrame({"rank": 0, "sample": 0, **both})

        return SimpleNamespace(frame=pd.DataFrame({"layer_index": [2, 4]}), variations=variations)


@pytest.fixture(scope="module")
def study_of(tmp_path_factory) -> Callable[[str, Mapping[str, Any]], Study]:
    """The study of one experiment."""
    content = yaml.safe_load(yaml.safe_dump(PRESET))
    content["models"]["SimpleConv"]["epochs"] = 20
    content["models"]["TIPooling"] = {"model": "TIPoolingSimpleConv", "learning_rate": 1e-3, "epochs": 3}
    content["training"] = {"augmentation_epochs": "same"}
    content["datasets"]["cifar10"] = {"fingerprint": "1" * 64, "accuracy_floor": 0.5}
    forms = [form for group in FORMS.values() for form in group]
    same = [form for group in COMPARED.values() for form in group.values()]
    rates = [f"{name}[alpha={alpha}]" for name in ("Goodfellow", "Goodfellow_L", "Goodfellow_G") for alpha in ALPHAS]
    wanted = [*content["measures"], *MeasureComparison.shown, *forms, *same, *rates]
    content["measures"] = list(dict.fromkeys(str(check(one)) for one in wanted))
    folder = tmp_path_factory.mktemp("presets")

    def load(experiment: str, options: Mapping[str, Any]) -> Study:
        here = content
        if experiment == "ti_pooling":  # another set of which each product of two members is a member
            turns = {"set": "rotation", "parameters": {"n": 4, "angle_deg": 360}}
            here = {**content, "transformation_sets": {**content["transformation_sets"], "turns": turns}}
        chosen = {**options, **({"models": ["SimpleConv", "AllConvolutional"]} if experiment in MODELS else {})}
        if experiment != "dataset_transfer":
            chosen.setdefault("datasets", ["mnist5k"])
        chosen = yaml.safe_load(yaml.safe_dump({k: list(v) if isinstance(v, tuple) else v for k, v in chosen.items()}))
        path = folder / "preset.yaml"
        path.write_text(yaml.safe_dump({**here, "experiments": {experiment: chosen}}), encoding="utf-8")
        return Programme.load(path)

    return load


MODELS = ("accuracy", "structure", "departures")


def found(study: Study, case: Case, effect: Callable[[MeasureSpec], float]) -> list[Any]:
    chosen = findings(study, case.experiment, MadeUp(case, effect))
    return [one for one in chosen if one.claim.name == case.claim]


def verdicts(study: Study, case: Case, effect: Callable[[MeasureSpec], float]) -> set[str]:
    return {one.verdict for one in found(study, case, effect)}


EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.experiment}-{case.claim}")


@EACH
def test_a_claim_comes_out_either_way(case, study_of):
    study = study_of(case.experiment, case.options)
    assert verdicts(study, case, lambda cell: case.supported) == {"supported"}
    assert verdicts(study, case, lambda cell: case.refuted) == {"not supported"}


@EACH
def test_a_claim_that_seeds_do_not_agree_on_is_undecided_and_says_why(case, study_of):
    study = study_of(case.experiment, case.options)
    for one in found(study, case, lambda cell: case.between[cell.network.seed % 2]):
        assert one.verdict == "undecided"
        assert one.why


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.first], ids=lambda case: f"{case.experiment}-{case.claim}"
)
def test_a_claim_that_conditions_are_decided_against_each_other_on_depends_on_them(case, study_of):
    study = study_of(case.experiment, case.options)
    for one in found(study, case, lambda cell: case.supported if case.first(cell) else case.refuted):
        assert one.verdict == "depends on the set"
        assert one.evidence.decided("supported")
        assert "not supported" in {each.verdict for each in (one.evidence.pooled, *one.evidence.conditions.values())}
        assert one.why.startswith("supported: ")


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.one], ids=lambda case: f"{case.experiment}-{case.claim}"
)
def test_one_seed_decides_nothing_and_the_claim_says_so(case, study_of):
    study = study_of(case.experiment, case.one)
    for one in found(study, case, lambda cell: case.supported):
        assert one.verdict == "undecided"
        assert "two are needed" in one.why or "needs two" in one.why


@EACH
def test_findings_name_their_datasets_and_cells(case, study_of):
    study = study_of(case.experiment, case.options)
    chosen = found(study, case, lambda cell: case.supported)
    named = [name for one in chosen for name in one.datasets]
    assert sorted(named) == sorted(study.experiments[case.experiment].datasets or study.datasets)
    assert all(len(set(one.cells)) == len(one.cells) > 0 for one in chosen)


def stated() -> dict[str, list[Any]]:
    return {name: list(registry.load(name).claims) for name in registry.names() if registry.load(name).claims}


def test_every_claim_is_tried():
    every = {(name, claim.name) for name, claims in stated().items() for claim in claims}
    assert every == {(case.experiment, case.claim) for case in CASES} | ELSEWHERE


def test_each_experiment_stands_or_falls_by_one_claim_and_says_why_its_thresholds():
    for name, claims in stated().items():
        assert [claim.primary for claim in claims].count(True) == 1, name
        assert all(claim.because for claim in claims), name
