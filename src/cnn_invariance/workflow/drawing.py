"""Drawing the figures and tables of an experiment from its results."""

from cnn_invariance.errors import InputError
from cnn_invariance.workflow.plan import Plan


def draw(plan: Plan, experiment: str) -> None:
    """Draw an experiment on the datasets whose cells are all there; tables are not written for one column of a page.

    Errors: InputError if it leaves out an output that it announces, or, with no dataset complete, for a missing cell.
    """
    from cnn_invariance.plotting import Canvas
    from cnn_invariance.plotting.style import is_one_column

    name, chosen = plan.study.name, plan.study.experiment(experiment).name
    computed = plan.computed_of(chosen)
    view = plan.study.on(chosen, computed or plan.study.datasets_of(chosen))
    experiment_here = view.experiment(chosen)
    canvas = Canvas(
        plan.folders.figure_folder(name, chosen),
        plan.folders.table_folder(name),
        experiment_here.opening(view, plan.results) if computed else "",
    )
    experiment_here.draw(view, plan.results, canvas)
    outputs = view.outputs_of(chosen)
    tables = () if is_one_column() else plan.folders.table_files(name, outputs)
    announced = (*plan.folders.figure_files(name, chosen, outputs), *tables)
    if absent := [str(path) for path in announced if not path.is_file()]:
        raise InputError(f"{experiment} announces outputs that it does not draw: {', '.join(absent)}")
