"""What is said where results cannot be drawn, though each can be read."""

from collections.abc import Iterator
from contextlib import contextmanager

from cnn_invariance.errors import InputError
from cnn_invariance.results import audit
from cnn_invariance.workflow.plan import Plan

NAMED = 20


@contextmanager
def explained(plan: Plan) -> Iterator[None]:
    """Turn an error of computing with the results of a plan into one that names the results which are not plausible.

    Results that were changed and sealed anew can be of the right types and still contradict each other: a network of
    other layers than its sister, say. Where none is implausible, it is said to be a fault of this package.
    """
    try:
        yield
    except InputError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError) as error:
        faults = audit.audit(plan.results, plan.cells).faults
        said = f"{type(error).__name__}: {error}"
        if faults:
            more = [f"and {len(faults) - NAMED} more"] if len(faults) > NAMED else []
            named = [f"these results cannot be used together ({said}):", *faults[:NAMED], *more]
            raise InputError("\n".join(named)) from error
        raise InputError(
            f"the results in {plan.results.root} cannot be used together ({said}); if one was changed by hand, restore "
            "it; else this is a fault of this package: run the command again as 'cnn-invariance --debug ...', and "
            "report what it prints"
        ) from error
