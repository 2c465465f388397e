"""Captions, put together from the specs of the cells that a figure or table shows."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from cnn_invariance import models
from cnn_invariance.measures import requests as measure_names
from cnn_invariance.paper import departures as departures_from
from cnn_invariance.paper import points
from cnn_invariance.plugins import references
from cnn_invariance.study import Cell, MeasureSpec, ModelSpec, SetSpec, Study, TrainSpec
from cnn_invariance.transformations import AffineSet

if TYPE_CHECKING:
    from cnn_invariance.plotting.caption import Caption

InWords = Callable[[Study, Sequence[TrainSpec]], str]
"""Networks in words."""
ALWAYS_NAMED = ("width", "dense")
"""The arguments of a network that a caption names even where they have their default values."""


def caption(
    study: Study,
    experiment: str,
    cells: Sequence[Cell],
    *,
    title: str,
    question: str,
    setting: str | Iterable[str],
    measures: Iterable[str] = (),
    counts: str = "",
    departures: Sequence[str] = (),
    usual: Sequence[Cell] | None = None,
    accuracies: bool = False,
    finding: str = "",
) -> "Caption":
    """The caption of a figure or table of these cells, of any number of datasets; ``str`` of it is the text.

    setting:    a sentence or several on what was done and how to read it. Give each sentence that only some captions of
                an experiment have as an item of its own: the report shows once what all captions of an experiment share
    measures:   those shown, as presets name them: a sentence says what each is
    counts:     a sentence on infinite, undefined and dead units
    departures: phrases on what differs from the author's code, beyond the sizes of the cells
    usual:      the cells whose sizes are compared with the author's, where the experiment itself varies these sizes
                (None: all ``cells``)
    accuracies: whether it is of accuracies, not of profiles, whose networks have no batch normalisation
    finding:    what is seen, in a sentence, where the experiment claims nothing or this figure shows something else
    """
    from cnn_invariance.plotting.caption import Caption  # here, so that planning does not load Matplotlib

    datasets = list(dict.fromkeys(_network(cell).dataset.name for cell in cells))
    compared = cells if usual is None else usual
    return Caption(
        title=title,
        question=question,
        setting=sentences(setting),
        sizes={name: _sizes(study, name, _cells_on(name, cells), _models) for name in datasets},
        brief={name: _sizes(study, name, _cells_on(name, cells), _designs) for name in datasets},
        measures=tuple(map(measure_in_words, measures)),
        counts=counts,
        departures={
            name: (*_departures(study, experiment, name, compared, profiles=not accuracies), *departures)
            for name in datasets
        },
        experiment=experiment,
        preset=study.name,
        origin=_origin(study, experiment, cells),
        finding=finding,
    )


def _origin(study: Study, experiment: str, cells: Sequence[Cell]) -> points.Origin:
    """Whose an experiment is; one of the author's code is adapted where it has parts that his code does not have."""
    origin = points.origin(experiment)
    sources = {study.preset.datasets[_network(cell).dataset.name].source for cell in cells}
    if origin == "author" and departures_from.foreign(sources, _networks(cells), _measurements(cells)):
        return "adapted"
    return origin


def sentences(setting: str | Iterable[str]) -> tuple[str, ...]:
    """The sentences of a setting without those that are empty; a text is kept whole."""
    return tuple(filter(None, [setting] if isinstance(setting, str) else setting))


def measure_in_words(request: str) -> str:
    """A measure in words: what it is, and what has one value of it.

    >>> measure_in_words("NV[aggregate=mean]")
    'NV of maps: normalised variance, TV / SV; one value for each feature map (mean over the map, before the \
quotient), or unit of a layer without maps; lower is more invariant.'
    """
    measure = measure_names.check(request)
    options = dict(measure.options)
    says = measure_names.describe(measure.full_name).replace(": ", ", ")
    parts = [f"{measure_names.label(request)}: {says}"]
    match options.get("aggregate"):
        case None:
            pass
        case "none" if options.get("per") == "map":
            parts.append("one value for each feature map, or unit of a layer without maps")
        case "none":
            parts.append("one value for each unit")
        case how:
            when = f", {options['order']} the quotient" if "/" in says and "order" in options else ""
            parts.append(f"one value for each feature map ({how} over the map{when}), or unit of a layer without maps")
    if options.get("stratified"):
        parts.append("mean over the classes, each measured by itself")
    if which := measure_names.better_in_words(measure):
        parts.append(which)
    return "; ".join(parts) + "."


def _network(cell: Cell) -> TrainSpec:
    return cell if isinstance(cell, TrainSpec) else cell.network


def _cells_on(dataset: str, cells: Iterable[Cell]) -> list[Cell]:
    return [cell for cell in cells if _network(cell).dataset.name == dataset]


def _networks(cells: Iterable[Cell]) -> list[TrainSpec]:
    return list(dict.fromkeys(map(_network, cells)))


def _measurements(cells: Iterable[Cell]) -> list[MeasureSpec]:
    return [cell for cell in cells if isinstance(cell, MeasureSpec)]


def _sizes(study: Study, dataset: str, cells: Sequence[Cell], in_words: InWords) -> str:
    networks, measured = _networks(cells), _measurements(cells)
    parts = [in_words(study, networks)]
    if measured:
        sets: dict[str, dict[str, int]] = {}
        for one in measured:
            label = study.label_of(one.transformations, one.samples.count)
            sets.setdefault(label, {})[_members(one.transformations)] = one.transformations.size
        others = dict.fromkeys(one.dataset.name for one in measured if one.dataset.name != dataset)
        where = f" of {' and of '.join([dataset, *others])}" if others else ""
        given = ((study.label_of(one.transformations, one.samples.count), one.samples) for one in measured)
        parts.append(f"measured on {departures_from.samples_by_set(given)}{where}")
        under = [f"{label} (M = {', '.join(sorted(sizes, key=sizes.__getitem__))})" for label, sizes in sets.items()]
        parts.append(f"under {', '.join(under)}")
    seeds = len({network.seed for network in networks})
    parts.append("1 seed" if seeds == 1 else f"{seeds} seeds")
    return ", ".join(parts)


def _members(spec: SetSpec) -> str:
    """How many members a set has, and how many maps they are where some are one."""
    built = None if spec.own else spec.build()  # no code of a user's own is run to draw results
    if not isinstance(built, AffineSet) or built.distinct == len(built):
        return str(spec.size)
    return f"{len(built)} members, {built.distinct} {'angles' if built.name == 'rotation' else 'maps'}"


def _models(study: Study, networks: Sequence[TrainSpec]) -> str:
    """Each network with its arguments and epochs."""
    by_model: dict[ModelSpec, list[TrainSpec]] = {}
    for network in networks:
        by_model.setdefault(network.model, []).append(network)
    return ", ".join(
        f"{label} ({'; '.join([*_design(model, label), *_arguments(model), _epochs(group)])})"
        for model, group in by_model.items()
        for label in [study.label_of(model)]
    )


def _designs(study: Study, networks: Sequence[TrainSpec]) -> str:
    """Each design once, with the arguments that all its networks have."""
    by_design: dict[str, dict[ModelSpec, None]] = {}
    for network in networks:
        by_design.setdefault(network.model.name, {})[network.model] = None
    found = []
    for variants in by_design.values():
        first, *others = variants
        shared = [one for one in _arguments(first) if all(one in _arguments(other) for other in others)]
        label = study.label_of(first)
        several = f" in {len(variants)} variants" if others else ""
        found.append(f"{label} ({'; '.join(shared)}){several}" if shared else f"{label}{several}")
    return ", ".join(found)


def _design(model: ModelSpec, label: str) -> list[str]:
    """The design of a network as keys of cells have it, where it is called otherwise."""
    return [] if model.name == label else [model.name]


def _arguments(model: ModelSpec) -> list[str]:
    """The arguments that are always named, and those that have not their default values."""
    defaults = {} if references.is_reference(model.name) else models.defaults(model.name)
    return [
        _argument(name.replace("_", " "), value)
        for name, value in model.arguments.items()
        if name in ALWAYS_NAMED or value != defaults.get(name)
    ]


def _argument(name: str, value: object) -> str:
    """An argument in words.

    >>> _argument("width", 8), _argument("slope", 0.5), _argument("batch norm", True), _argument("batch norm", False)
    ('width 8', 'slope 0.5', 'batch norm', 'without batch norm')
    """
    match value:
        case bool():
            return name if value else f"without {name}"
        case float():
            return f"{name} {value:g}"
    return f"{name} {value}"


def _epochs(group: Iterable[TrainSpec]) -> str:
    span = departures_from.spread(network.recipe.epochs for network in group)
    return f"{span} epoch" if span == "1" else f"{span} epochs"


def _departures(study: Study, experiment: str, dataset: str, cells: Sequence[Cell], *, profiles: bool) -> list[str]:
    cells = _cells_on(dataset, cells)
    networks, entry = _networks(cells), study.preset.datasets[dataset]
    found = departures_from.departures(entry.source, networks, _measurements(cells), study.label_of, experiment)
    found += departures_from.other_floor(entry.source, entry.accuracy_floor)
    return [*found, *_normalised(study, networks)] if profiles else found


def _normalised(study: Study, networks: Iterable[TrainSpec]) -> list[str]:
    """Designs that a preset gives batch normalisation to, wherever they are used."""
    used = {network.model.name for network in networks}
    found = [
        entry.model
        for entry in study.preset.models.values()
        if entry.model in used and entry.arguments.get("batch_norm") is True
    ]
    return [f"{', '.join(found)} with batch normalisation (the author's profiles: without)"] if found else []
