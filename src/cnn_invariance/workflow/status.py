"""What the commands say about a study beside its files, as lines of text."""

from collections.abc import Iterator

from cnn_invariance.errors import InputError
from cnn_invariance.results import audit
from cnn_invariance.study.spec import Cell, MeasureSpec, ResponseSpec, TrainSpec
from cnn_invariance.workflow import costs
from cnn_invariance.workflow.plan import Plan


def of_plan(plan: Plan, cells: bool = False) -> list[str]:
    """How many cells of each kind are cached and missing; then what is to be done and why.

    cells: also list the cells that are cached
    """
    plan.check()
    lines = [f"{plan.study.path}: {plan.study.preset.description.strip()}", "", *_table(plan), ""]
    if not plan.computes and (absent := [name for name in plan.study.experiments if plan.lacking(name)]):
        lines += [
            f"not yet computed: {', '.join(absent)}",
            "a run draws the other experiments and computes nothing; to compute: snakemake --config compute=missing",
            "",
        ]
    todo = [f"{action} {key}: {why}" for action, key, why in _jobs(plan)]
    lines += todo or ["nothing to compute: every result is there"]
    if cells:
        lines += ["", *(f"network {network.key}" for network in plan.networks)]
        lines += [f"measure cell {cell.key}" for cell in plan.measurements]
        lines += [f"response cell {cell.key}" for cell in plan.responses]
    return lines


def of_check(plan: Plan) -> list[str]:
    """The outcome of checking every result; those damaged, incomplete or implausible are named by an InputError.

    Then a line for each network whose cells were made from other weights than its record's, and for each file that is
    no cell's.
    """
    plan.check()
    results = plan.results
    found_in = audit.audit(results, plan.cells)
    if found_in.faults:
        raise InputError("\n".join(found_in.faults))
    wanted = {results.path(cell) for cell in plan.cells}
    there = {path for path in wanted if path.is_file()}
    found = {*results.root.glob("training/*.json"), *results.root.glob("*/*.parquet")}
    lines = [f"{results.root}: {len(there)} of {len(wanted)} results are there, all of them whole"]
    lines += [f"note: {note}" for note in found_in.notes]
    return lines + [f"{path}: no cell of this preset" for path in sorted(found - wanted)]


def _table(plan: Plan) -> Iterator[str]:
    """A line for each kind of cell."""
    records = sum(not plan.results.has(network) for network in plan.networks)
    kinds = (
        ("networks", len(plan.networks), records),
        ("measure cells", len(plan.measurements), len(plan.to_measure)),
        *([("response cells", len(plan.responses), len(plan.to_respond))] if plan.responses else []),
    )
    yield f"{'':20}{'cached':>8}{'missing':>9}"
    for kind, total, missing in kinds:
        yield f"{kind:20}{total - missing:8}{missing:9}"
    yield from _estimate(plan)


def _estimate(plan: Plan) -> Iterator[str]:
    """How long the missing cells will take, from what those that are there took."""
    missing: tuple[Cell, ...] = (*plan.to_train, *plan.to_measure, *plan.to_respond)
    if not missing:
        return
    rates = costs.Rates.measured(plan.results, plan.cells)
    seconds = rates.total(missing)
    yield ""
    if seconds is None:
        yield "no estimate of the time: nothing like some of the missing cells was computed yet"
    else:
        time = costs.readable(seconds)
        yield f"about {time} for the missing cells one after the other, by what {rates.cells} earlier cells took"


def _jobs(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """What a run would compute: action, key, reason."""
    for dataset in plan.to_prepare:
        yield "prepare", dataset.name, f"no {plan.folders.dataset(dataset.name)}"
    for network in plan.to_train:
        yield "train", network.key, _why_train(plan, network)
    for cell in plan.to_measure:
        yield "measure", cell.key, "no result"
    for response in plan.to_respond:
        yield "respond", response.key, "no result"


def _why_train(plan: Plan, network: TrainSpec) -> str:
    if not plan.results.has(network):
        return "no record"
    cells: tuple[MeasureSpec | ResponseSpec, ...] = (*plan.to_measure, *plan.to_respond)
    needed = (plan.checkpoint_of(cell) for cell in cells if cell.network == network)
    absent = [path for path in needed if not path.is_file()]
    return f"no checkpoint {absent[0].name}, which a missing measure or response cell needs"
