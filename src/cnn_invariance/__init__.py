"""Invariance and same-equivariance measures for convolutional neural networks.

The package replicates, verifies and extends F. M. Quiroga, "Invariance and Same-Equivariance Measures for
Convolutional Neural Networks", CLEI Electronic Journal 24(1), 2021, doi 10.19153/cleiej.24.1.8.

As a library::

    import cnn_invariance as ci
    result = ci.measure(model, images, ci.transformations.rotation(n=24, closed=False))
    result.profile("NV")

Names are imported when they are first used, so that reading a preset or planning the study never loads torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnn_invariance import models as models
    from cnn_invariance import transformations as transformations
    from cnn_invariance.assertions import assert_equivariant as assert_equivariant
    from cnn_invariance.assertions import assert_invariant as assert_invariant
    from cnn_invariance.errors import InputError as InputError
    from cnn_invariance.measures import MeasureResult as MeasureResult
    from cnn_invariance.measures import measure as measure

__version__ = "0.1.0"
__all__ = [
    "InputError",
    "MeasureResult",
    "__version__",
    "assert_equivariant",
    "assert_invariant",
    "measure",
    "models",
    "transformations",
]
_LAZY = {
    "InputError": "errors",
    "MeasureResult": "measures",
    "assert_equivariant": "assertions",
    "assert_invariant": "assertions",
    "measure": "measures",
}
_ROOMS = ("models", "transformations")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, whether they were used before or not."""
    return [name for name in __all__ if not name.startswith("_")]
