"""Layers whose channels mix under the transformations, so that measures channel by channel do not see equivariance.

NVSE compares each channel of f(x) with the same channel of ``t^-1 f(t x)``. In a group convolution each transformation
exchanges channels: NVSE is high, and yet a map of channels explains everything. Such a layer is told by these rules,
fixed before any network was looked at:

- NVSE is at least `HIGH` in the mean over the layer;
- the fitted residual about the mean (``FittedResidual[centred=true]``) is at most `LOW`; or the fitted residual is, and
  linear CKA is at least ``1 - LOW``, because a residual that is not about the mean is low, too, where channels have
  large constant values;
- channels permute where, besides, the best match of channels is at least ``1 - LOW`` in the mean; otherwise they are
  mixed; without ``ChannelMatch`` it is not known which.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from cnn_invariance.measures.requests import check

if TYPE_CHECKING:
    from cnn_invariance.measures.result import MeasureResult

HIGH = 0.5
LOW = 0.1


def found(result: "MeasureResult") -> dict[str, str]:
    """What is to be said of each layer whose channels mix, by its name; of others, nothing."""
    return dict(_found(result))


def _found(result: "MeasureResult") -> Iterator[tuple[str, str]]:
    for number, layer in enumerate(result.layers):
        nvse = _mean(result, number, "NVSE")
        centred = _mean(result, number, "FittedResidual", centred=True)
        plain, cka = _mean(result, number, "FittedResidual", centred=False), _mean(result, number, "CKA")
        residual = centred if centred is not None else plain if cka is not None and cka >= 1 - LOW else None
        if nvse is None or residual is None or nvse < HIGH or residual > LOW:
            continue
        match = _mean(result, number, "ChannelMatch")
        how = "mix" if match is None or match < 1 - LOW else "are permuted"
        known = "" if match is not None else "; ChannelMatch would say whether they are permuted"
        best = "" if match is None else f", and the best match of channels correlates by {match:.2f}"
        yield (
            layer.name,
            f"channels {how} under the transformations: NVSE is {nvse:.2f}, and a linear map of channels leaves "
            f"{residual:.2g} unexplained{best}; equivariance is there, and not channel by channel{known}",
        )


def _mean(result: "MeasureResult", number: int, name: str, **options: object) -> float | None:
    """The mean over a layer of the first measure of this name and these options that has a value there."""
    for text, layers in result.values.items():
        request = check(text)
        chosen = dict(request.options)
        if request.name == name and all(chosen[option] == value for option, value in options.items()):
            values = layers[number]
            finite = None if values is None else values[np.isfinite(values)]
            if finite is not None and finite.size:
                return float(finite.mean())
    return None
