"""Transformation sets of a smaller range: the same members, drawn together towards the identity."""

from cnn_invariance.errors import InputError
from cnn_invariance.study.spec import Scalar, SetSpec

IDENTITY_AT = {"angle_deg": 0.0, "distance": 0.0, "low": 1.0, "high": 1.0}
"""The parameters that are ranges, and the value at which each leaves an image as it is."""


def scaled(spec: SetSpec, share: float) -> SetSpec | None:
    """The set over a share of its range, with as many members; None at share 0: no transformation.

    Each range parameter moves from its identity value to its own value: ``angle_deg`` and
    ``distance`` are multiplied by the share, ``low`` becomes 1 - (1 - low) share, ``high``
    1 + (high - 1) share. At share 1 the result is the set itself, so its cells are shared.
    ``spec`` must have all its parameters filled in, as those of a `Study` have.

    >>> scaled(SetSpec(name="scale", parameters={"n": 4, "low": 0.5, "high": 1.25}), 0.4).parameters
    {'n': 4, 'low': 0.8, 'high': 1.1}

    Errors: InputError for a share outside [0, 1], and for a set without a range parameter.
    """
    if not 0 <= share <= 1:
        raise InputError(f"the share of a set's range must be from 0 to 1; received {share!r}")
    ranges = IDENTITY_AT.keys() & spec.parameters.keys()
    if not ranges:
        raise InputError(
            f"the transformation set {spec.name!r} has no range to take a share of; expected one "
            f"with a parameter {', '.join(IDENTITY_AT)}"
        )
    if share == 0:
        return None
    if share == 1:
        return spec
    parameters = {
        name: _moved(IDENTITY_AT[name], float(value), share) if name in ranges else value
        for name, value in spec.parameters.items()
    }
    return spec.model_copy(update={"parameters": parameters, "identity": None})


def _moved(origin: float, end: float, share: float) -> Scalar:
    return round(origin + (end - origin) * share, 10)  # the hash must not see the last bit
