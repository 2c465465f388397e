"""Trying networks, measures and transformations before the long part of a run starts.

Planning reads names and arguments and runs nothing. Whether a user's file works, and whether a network takes images of
the size of a dataset, is only known when it is run: here, once, for the cells that have no result yet.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from cnn_invariance import datasets, models
from cnn_invariance.errors import InputError
from cnn_invariance.measures import requests
from cnn_invariance.plugins import references
from cnn_invariance.study import Cell, DatasetSpec, ModelSpec, ResponseSpec, SetSpec, TrainSpec
from cnn_invariance.workflow.plan import Plan

if TYPE_CHECKING:
    from cnn_invariance.datasets import Dataset


def own_code(cells: Iterable[Cell]) -> list[str]:
    """What cells name of code outside of this package, which computing them runs: references, and files of measures."""
    found: dict[str, None] = {}
    for cell in cells:
        network, measured = cell.network, cell.measured
        sets = [network.augmentation, measured.transformations if measured else None]
        found |= dict.fromkeys(one.name for one in sets if one is not None and one.own)
        found |= dict.fromkeys(
            name.partition("[")[0] for name in (measured.measures if measured else ()) if ":" in name
        )
        texts = [network.model.name, *(one for one in network.model.arguments.values() if isinstance(one, str))]
        found |= dict.fromkeys(text for text in texts if ":" in text and not text.startswith((*models.LIBRARIES,)))
    return list(found)


def check(plan: Plan, *, own: bool) -> None:
    """Try what the cells without a result need; one InputError names everything that fails, each thing once.

    own: whether code that the preset names is run; else only what this package knows itself is looked at

    A measure is tried on made-up layers. A network, of the package or not, is built for its dataset where that is
    prepared; where it is not, a user's own is imported. A user's own functions on images are tried on a few of that
    dataset. A set that is measured must hold two different maps, as far as that can be known; that is looked at even
    where nothing is computed.
    """
    messages = []
    trials = [*_members(plan, own)]
    if plan.computes:
        of_own_code = (*_measures(plan), *_sets(plan)) if own else ()
        trials = [*_counts(plan), *of_own_code, *_networks(plan, own), *trials]
    for trial in trials:
        try:
            trial()
        except InputError as error:
            messages.append(str(error))
    _load.cache_clear()
    if messages:
        raise InputError("\n".join(dict.fromkeys(messages)))


Trials = Iterator[Callable[[], None]]


def _counts(plan: Plan) -> Trials:
    """No cell may read more samples than its split has, as far as its source or its prepared data says."""
    asked = dict.fromkeys(one for cell in plan.to_compute for one in _asked(cell))
    sizes = {dataset: _sizes(plan, dataset) for dataset in dict.fromkeys(dataset for dataset, *_ in asked)}
    for dataset, splits, count, option in asked:
        if (known := sizes[dataset]) and count > sum(known[split] for split in splits):
            yield partial(_refuse_count, dataset.name, " and ".join(splits), known, count, option)


def _asked(cell: Cell) -> Iterator[tuple[DatasetSpec, tuple[str, ...], int, str]]:
    """The samples that a cell asks for: of a dataset, of which splits, how many, by which option of the preset."""
    if isinstance(cell, TrainSpec):
        splits = ("train", "validation") if cell.recipe.images == "all" else ("train",)
        if cell.recipe.epochs and cell.recipe.epoch_samples:
            yield cell.dataset, splits, cell.recipe.epoch_samples, "'epoch_samples' of 'training'"
        return
    shown = (cell.sample,) if isinstance(cell, ResponseSpec) else ()
    measured = cell.measured
    for samples in (*shown, *((measured.samples,) if measured else ())):
        if samples.count is not None:
            yield cell.dataset, (samples.split,), samples.count, "'count' of samples"


def _sizes(plan: Plan, dataset: DatasetSpec) -> dict[str, int] | None:
    """The samples of each split, by the prepared dataset or by its source; None where neither tells."""
    path = plan.folders.dataset(dataset.name)
    stated = datasets.stated_sizes(path) if path.is_file() else None
    return stated or datasets.sizes_of(plan.study.preset.datasets[dataset.name].source)


def _refuse_count(dataset: str, splits: str, sizes: dict[str, int], count: int, option: str) -> None:
    size = sum(sizes[split] for split in splits.split(" and "))
    raise InputError(
        f"{option}: received {count:,}, and the {splits} split of {dataset} has {size:,}; expected a number from 1 to "
        f"{size}, or leave it out: then all are taken"
    )


def _measures(plan: Plan) -> Trials:
    texts = dict.fromkeys(name for cell in plan.todo("measure") for name in cell.measures if ":" in name)
    for request in map(requests.check, texts):
        yield partial(_try_measure, request)


def _networks(plan: Plan, own: bool) -> Trials:
    found = dict.fromkeys((one.model, one.dataset, one.recipe.epochs > 0) for one in plan.todo("train"))
    for model, dataset, trained in found:
        if own or not (references.is_reference(model.name) or model.weights):
            yield partial(_try_network, plan, model, dataset, trained)


def _sets(plan: Plan) -> Trials:
    used = [(one.augmentation, one.dataset) for one in plan.todo("train") if one.augmentation is not None]
    used += [(one.transformations, one.dataset) for one in plan.todo("measure")]
    for spec, dataset in dict.fromkeys(used):
        if references.is_reference(spec.name):
            yield partial(_try_set, plan, spec, dataset)


def _members(plan: Plan, own: bool) -> Trials:
    missing = (one for one in plan.measurements if not plan.results.has(one))
    for spec in dict.fromkeys(one.transformations for one in missing):
        if not spec.own or (own and plan.computes):
            yield partial(_check_different, spec)


def _try_measure(request: requests.Measure) -> None:
    from cnn_invariance.measures import user_measures

    user_measures.check(request)


def _try_network(plan: Plan, spec: ModelSpec, dataset: DatasetSpec, trained: bool) -> None:
    data = _prepared(plan, dataset)
    own = references.is_reference(spec.name) or spec.weights
    if data is None:
        if own:
            models.check_callable(spec.name, spec.arguments)
        return
    if not own and models.fits(spec.name, data.input_shape, len(data.classes), **spec.arguments):
        return
    network = models.build(spec.name, data.input_shape, len(data.classes), **spec.arguments)
    if trained:
        models.check_trainable(spec.name, network)
    if (weights := plan.study.weights(spec)) is not None:
        models.load_weights(network, weights)


def _try_set(plan: Plan, spec: SetSpec, dataset: DatasetSpec) -> None:
    import torch

    from cnn_invariance.transformations import AffineSet, check_members

    members, data = spec.build(), _prepared(plan, dataset)
    if not isinstance(members, AffineSet) and data is not None:
        try:
            check_members(members, data.normalise(torch.from_numpy(data.images[:4])))
        except InputError as error:
            raise InputError(f"transformation set {spec.name!r}: {error}") from error


def _check_different(spec: SetSpec) -> None:
    """Refuse to measure under a set of one map alone; a training may use one."""
    from cnn_invariance.transformations import AffineSet

    if isinstance(members := spec.build(), AffineSet):
        members.check_different()


def _prepared(plan: Plan, spec: DatasetSpec) -> "Dataset | None":
    """A dataset that is prepared already, with the content that the preset pins."""
    path = plan.folders.dataset(spec.name)
    data = _load(path) if path.is_file() else None
    return data if data is not None and data.fingerprint == spec.fingerprint else None


@lru_cache(maxsize=4)
def _load(path: Path) -> "Dataset":
    """A prepared dataset, which many networks are tried on."""
    return datasets.load(path)
