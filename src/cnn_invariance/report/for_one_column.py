"""The figures of a study for one column of a page."""

from collections.abc import Iterable

from cnn_invariance.report import claims, overview, specifications
from cnn_invariance.workflow import drawing
from cnn_invariance.workflow.plan import Plan


def draw(plan: Plan, experiments: Iterable[str] = ()) -> None:
    """Draw the figures of some experiments for one column of a page, 8.5 cm wide, into the plan's folder of figures.

    experiments: none: all that are complete on a dataset, the first figure, the forest of claims, and the curves of
                 specifications

    Errors: InputError for an unknown experiment, and for a missing cell of one that is not complete on any dataset.
    """
    from cnn_invariance.plotting.style import one_column

    named = [plan.study.experiment(one).name for one in experiments]
    with one_column():
        for chosen in named or plan.computed:
            drawing.draw(plan, chosen)
        if not named:
            overview.draw(plan, claims.records(plan))
            specifications.write(plan)
