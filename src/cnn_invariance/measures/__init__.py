"""The measures: their names, the running statistics they are made of, and the one pass that computes them all.

`measure` is the pass, `MeasureResult` what it gives. A measure of one's own is a file with two functions, which
``docs/extending.md`` shows; what such a file needs is here::

    Measure       the measure that is computed, with its options
    Context       the layer, the number of samples N and of transformations M
    Statistic     what a measure asks for: `Spread`, `FRatio`, `Firing`, `PairDistance`, `MapDistance`,
                  `DistanceToUntransformed` or `DistanceToTransformed`; or one of one's own, kept by an `Accumulator`
                  that is given each `Tile`
    aggregate     a feature map to one value
    quotient      of two tensors, where 0 / 0 is 1
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnn_invariance.measures.aggregation import aggregate as aggregate
    from cnn_invariance.measures.engine.run import measure as measure
    from cnn_invariance.measures.requests import Measure as Measure
    from cnn_invariance.measures.result import MeasureResult as MeasureResult
    from cnn_invariance.measures.statistics.base import Accumulator as Accumulator
    from cnn_invariance.measures.statistics.base import Context as Context
    from cnn_invariance.measures.statistics.base import Statistic as Statistic
    from cnn_invariance.measures.statistics.base import Tile as Tile
    from cnn_invariance.measures.statistics.base import quotient as quotient
    from cnn_invariance.measures.statistics.distances import DistanceToTransformed as DistanceToTransformed
    from cnn_invariance.measures.statistics.distances import DistanceToUntransformed as DistanceToUntransformed
    from cnn_invariance.measures.statistics.distances import MapDistance as MapDistance
    from cnn_invariance.measures.statistics.distances import PairDistance as PairDistance
    from cnn_invariance.measures.statistics.firing import Firing as Firing
    from cnn_invariance.measures.statistics.moments import FRatio as FRatio
    from cnn_invariance.measures.statistics.moments import Spread as Spread

# Imported when they are first used: the names of measures are checked without torch.
_PLACES = {
    "Accumulator": "statistics.base",
    "Context": "statistics.base",
    "DistanceToTransformed": "statistics.distances",
    "DistanceToUntransformed": "statistics.distances",
    "FRatio": "statistics.moments",
    "Firing": "statistics.firing",
    "MapDistance": "statistics.distances",
    "Measure": "requests",
    "MeasureResult": "result",
    "PairDistance": "statistics.distances",
    "Spread": "statistics.moments",
    "Statistic": "statistics.base",
    "Tile": "statistics.base",
    "aggregate": "aggregation",
    "measure": "engine.run",
    "quotient": "statistics.base",
}
__all__ = [
    "Accumulator",
    "Context",
    "DistanceToTransformed",
    "DistanceToUntransformed",
    "FRatio",
    "Firing",
    "MapDistance",
    "Measure",
    "MeasureResult",
    "PairDistance",
    "Spread",
    "Statistic",
    "Tile",
    "aggregate",
    "measure",
    "quotient",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, whether they were used before or not."""
    return sorted(__all__)
