"""What families of measures share: options, and the forms a quotient can take on feature maps."""

from torch import Tensor

from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.statistics.base import quotient


def aggregate(values: Tensor, how: str) -> Tensor:
    """Feature maps (C, H, W) to one value each, by ``mean``, ``max`` or ``sum``; other layers stay as they are."""
    if how == "none" or values.ndim != 3:
        return values
    maps = values.flatten(1)
    return maps.amax(1) if how == "max" else getattr(maps, how)(1)


def single(request: Measure, values: Tensor) -> Tensor:
    """One statistic, aggregated as the request says."""
    return aggregate(values, request["aggregate"])


def normalized(request: Measure, numerator: Tensor, denominator: Tensor) -> Tensor:
    """A quotient, aggregated before it is taken (the author's usual form) or after."""
    how = request["aggregate"]
    if _when(request) == "before":
        return quotient(aggregate(numerator, how), aggregate(denominator, how))
    return aggregate(quotient(numerator, denominator), how)


def _when(request: Measure) -> object:
    """Whether maps are aggregated before or after the quotient; distances use the word ``order`` for the samples."""
    options = dict(request.options)
    return options.get("aggregated", options.get("order"))


def count_dead(request: Measure, *values: Tensor) -> int:
    """How many quotients of a measure are 0 / 0: of units, or of feature maps if they are aggregated before."""
    if len(values) < 2:
        return 0
    if _when(request) == "before":
        values = tuple(aggregate(value, request["aggregate"]) for value in values)
    numerator, denominator = values
    return int(((numerator == 0) & (denominator == 0)).sum())
