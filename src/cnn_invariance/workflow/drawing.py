"""Drawing the figures and tables of an experiment from its results."""

from cnn_invariance.errors import InputError
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products


def draw(plan: Plan, experiment: str) -> None:
    """Draw an experiment (InputError if it leaves out an output that it announces)."""
    from cnn_invariance.plotting import Canvas

    products = Products(plan)
    canvas = Canvas(
        plan.folders.figure_folder(plan.study.name, experiment),
        plan.folders.table_folder(plan.study.name),
    )
    plan.study.experiment(experiment).draw(plan.study, plan.results, canvas)
    announced = (*products.figures(experiment), *products.tables(experiment))
    if absent := [str(path) for path in announced if not path.is_file()]:
        raise InputError(f"{experiment} announces outputs that it does not draw: {', '.join(absent)}")
