"""The measures: their names, their running statistics, and the one pass that computes them all."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnn_invariance.measures.engine.run import measure as measure
    from cnn_invariance.measures.result import MeasureResult as MeasureResult

_LAZY = {"measure": "engine.run", "MeasureResult": "result"}
__all__ = ["MeasureResult", "measure"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
