"""The state of a study, as the lines of text that the commands print."""

from collections.abc import Iterator
from pathlib import Path

from cnn_invariance.errors import InputError
from cnn_invariance.machine import gpus
from cnn_invariance.plugins import references
from cnn_invariance.results import audit, definitions, others
from cnn_invariance.study import KINDS, Cell, ResponseSpec
from cnn_invariance.study.recipes import effective_epochs
from cnn_invariance.transformations import AffineSet
from cnn_invariance.workflow import costs, trials
from cnn_invariance.workflow.plan import Plan

MOST_SETTINGS = 3
"""A result that differs from a missing cell in more settings is not named: it is not alike."""


def of_plan(plan: Plan, cells: bool = False) -> list[str]:
    """How many cells of each kind are cached and missing; then what is to be done and why.

    cells: also list the cells that are cached
    """
    plan.check()
    lines = [f"{plan.study.path}: {plan.study.preset.description.strip()}", "", *_table(plan), ""]
    if not plan.computes and (absent := plan.absent(plan.computed)):
        lines += [
            f"not yet computed: {', '.join(absent)}",
            "a run draws the other experiments and computes nothing; to compute: snakemake --config compute=missing",
            "",
        ]
    lines += _equal_members(plan)
    lines += _own_code(plan)
    lines += [f"note: {reason}" for reason in plan.failed.values()]
    lines += [*_unused_seeds(plan), *_by_other_code(plan), *_elsewhere(plan), *_longer(plan)]
    todo = [f"{action} {key}: {why}" for action, key, why in _jobs(plan)]
    lines += todo or ["nothing to compute: every result is there"]
    if cells:
        lines += ["", *(f"{cell.noun} {cell.key}" for cell in plan.cells)]
    return lines


def _equal_members(plan: Plan) -> list[str]:
    """A note on each set of this package, measured or trained with, whose members are not all different."""
    used = [cell.augmentation for cell in plan.networks if cell.augmentation]
    used += [cell.transformations for cell in plan.measurements]
    built = [spec.build() for spec in dict.fromkeys(used) if not spec.own]
    said = {one.described: one.coincidence() for one in built if isinstance(one, AffineSet)}
    notes = [f"note: {name}: {what}" for name, what in said.items() if what]
    return [*notes, ""] if notes else []


def _own_code(plan: Plan) -> list[str]:
    """A note on the code outside of this package that computing the missing cells runs."""
    found = trials.own_code(plan.to_compute) if plan.computes else []
    if not found:
        return []
    return [f"note: computing runs code outside this package: {', '.join(found)}; 'plan --try' tries it", ""]


def of_check(plan: Plan) -> list[str]:
    """The outcome of checking every result; those damaged, incomplete or implausible are named by an InputError.

    Then a line for each network whose cells were made from other weights than its record's, for each failed run, and
    for each file that is of no cell of the preset, with the reason.
    """
    plan.check()
    results = plan.results
    found_in = audit.audit(results, plan.cells)
    if found_in.faults:
        raise InputError("\n".join(found_in.faults))
    wanted = {results.path(cell) for cell in plan.cells}
    there = {path for path in wanted if path.is_file()}
    found = _found(plan)
    lines = [f"{results.root}: {len(there)} of {len(wanted)} results are there, all of them whole"]
    lines += [f"note: {note}" for note in (*found_in.notes, *plan.failed.values())]
    lines += _by_other_code(plan)
    return lines + [f"{path}: {others.why(path, plan.cells)}" for path in sorted(found - wanted)]


def _found(plan: Plan) -> set[Path]:
    """The files of results that are there, of cells of the preset or not."""
    return {
        path for kind in KINDS for path in plan.results.root.glob(f"{kind.folder}/*{kind.suffix}") if path.is_file()
    }


def _unused_seeds(plan: Plan) -> list[str]:
    """A note on the seeds of the preset that no network has."""
    used = {network.seed for network in plan.networks}
    unused = ", ".join(str(seed) for seed in plan.study.seeds if seed not in used)
    return [f"note: no experiment uses seed {unused} of the preset: raise 'seeds' of an experiment"] if unused else []


def _by_other_code(plan: Plan) -> Iterator[str]:
    """A note on each file of the package that was changed since results were made with it."""
    for path, cells in definitions.changed(plan.results, plan.cells):
        revision = "TRAIN_REVISION" if path.startswith("models/") else "MEASURE_REVISION"
        yield (
            f"note: {_counted(len(cells), 'result')} made by other code, the first {cells[0].key}: {path} of the "
            "package was changed since. Nothing is to be done if the change alters no number. Otherwise delete these "
            f"results, or raise {revision} in study/cells.py, and they are computed again; or undo the change, and put "
            "the new code into a file of your own beside the preset"
        )


def _elsewhere(plan: Plan) -> Iterator[str]:
    """A note on each folder of another preset's results that holds missing results of this one."""
    own = plan.results.root
    missing = [plan.results.path(cell).relative_to(own) for cell in plan.cells if not plan.results.has(cell)]
    others_there = sorted(path for path in own.parent.glob("*") if path.is_dir() and path != own) if missing else []
    for folder in others_there:
        if count := sum((folder / path).is_file() for path in missing):
            advice = "copy its files there" if own.is_dir() else f"if the preset was renamed: mv {folder} {own}"
            yield f"note: {folder} holds {count} of the missing results of {own}; to use them, {advice}"


def _longer(plan: Plan) -> Iterator[str]:
    """A note on the networks to train whose epochs follow from those of the preset by its rule for augmentations."""
    study, found = plan.study, dict[str, dict[str, None]]()
    rule = study.preset.training.augmentation_epochs
    for network in plan.networks:
        label, augmentation = study.label_of(network.model), network.augmentation
        if augmentation is None or label not in study.models or plan.results.has(network):
            continue
        plain = study.network(dataset=network.dataset.name, model=label).recipe.epochs
        epochs = network.recipe.epochs
        if epochs != plain and epochs == effective_epochs(plain, augmentation.size, rule):
            words = f"{epochs} with {study.label_of(augmentation)}"
            found.setdefault(f"{label} on {network.dataset.name} {plain}", {})[words] = None
    if found:
        listed = "; ".join(f"{plain}, {', '.join(more)}" for plain, more in found.items())
        yield (
            f"note: epochs by training.augmentation_epochs: {rule}, which multiplies them by 1.1 ln M for an "
            f"augmentation of M transformations ('same' keeps them): {listed}"
        )


def _table(plan: Plan) -> Iterator[str]:
    """A line for each kind of cell."""
    yield f"{'':20}{'cached':>8}{'missing':>9}"
    for kind in KINDS:
        cells = [cell for cell in plan.cells if isinstance(cell, kind)]
        missing = sum(not plan.results.has(cell) for cell in cells)
        if cells or kind is not ResponseSpec:  # few studies have responses
            yield f"{kind.noun}s".ljust(20) + f"{len(cells) - missing:8}{missing:9}"
    yield from _estimate(plan)


def _estimate(plan: Plan) -> Iterator[str]:
    """How long the missing cells will take, from what those that are there took."""
    if not (missing := plan.to_compute):
        return
    yield ""
    known, grounds = _known(plan)
    seconds = {cell: known.estimate(cell) for cell in missing}
    unknown = [cell for cell, one in seconds.items() if one is None]
    total = costs.readable(sum(one for one in seconds.values() if one is not None))
    if not unknown:
        yield f"about {total} for the missing cells one after the other, by {grounds}"
    elif len(unknown) < len(missing):
        nouns = ", ".join(dict.fromkeys(f"{cell.noun}s" for cell in unknown))
        yield (
            f"about {total} for {len(missing) - len(unknown)} of {len(missing)} missing cells one after the other, by "
            f"{grounds}; nothing like the others ({nouns}) was computed yet"
        )
    else:
        yield "no estimate of the time: nothing like the missing cells was computed yet"


def _known(plan: Plan) -> tuple[costs.Estimates, str]:
    """What says how long cells take, and what that is: this processor's cells, or all where they do not suffice.

    The name of a GPU is not known without torch: where there is one, costs are those of all machines.
    """
    here = costs.Known.of(plan, costs.processor_here())
    if not gpus() and costs.total(here, plan.to_compute) is not None:
        timed = len(here.speeds.seconds)
        more = f" and {timed} timed designs" if timed else ""
        return here, f"what {here.rates.cells} earlier cells took here{more}"
    rates = costs.Rates.known(plan)
    return rates, f"what {rates.cells} earlier cells took, on other processors too"


def _jobs(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """What a run would compute: action, key, reason."""
    for dataset in plan.to_prepare:
        yield "prepare", dataset.name, f"no {plan.folders.dataset(dataset.name)}"
    missing = [cell for cell in plan.to_compute if not plan.results.has(cell)]
    there = [cell for cell in plan.cells if plan.results.has(cell)]
    near = others.nearest(missing, there, sorted(_found(plan) - {plan.results.path(cell) for cell in plan.cells}))
    apart = others.told_apart(plan.cells)
    for cell in plan.to_compute:
        said = ", ".join(filter(None, [_called(plan, cell), apart.get(cell, "")]))
        yield cell.stage, f"{cell.key} ({said})" if said else cell.key, _reason(plan, cell, near.get(cell))


def _called(plan: Plan, cell: Cell) -> str:
    """The label of the network of a cell, where its key has the place that the network is from."""
    model = cell.network.model
    return plan.study.label_of(model) if references.is_reference(model.name) else ""


def _reason(plan: Plan, cell: Cell, near: others.Near | None) -> str:
    """Why a cell is to be computed, and what a result that is like it has in place of its settings."""
    if not plan.results.has(cell):
        what = "no result" if cell.needs else "no record"
        if near is None or len(near.differences) > MOST_SETTINGS or near.another_seed:
            return what
        return f"{what}; {near.key} is there, with {', '.join(near.differences)}"
    needing = (one for one in plan.to_compute if one.needs and one.network == cell)
    needed = (plan.folders.checkpoint(one.network, one.epoch) for one in needing)
    absent = next(path for path in needed if not path.is_file())
    return f"no checkpoint {absent.name}, which a missing measure or response cell needs"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing} was" if count == 1 else f"{count} {thing}s were"
