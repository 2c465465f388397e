"""Local equivariance error: the Lie derivative of each layer, after Gruver et al.

For a continuous transformation g_s of images, and of feature maps where a layer has them::

    L_X f(x) = d/ds g_-s f(g_s x) at s = 0
    LieDerivative  mean_i || L_X f_l(x_i) || of each layer l, euclidean over its activations
    LEE            mean_i mean_k | L_X p_k(x_i) |, p the softmax of the network's output
    LieShare       of each layer, the root over samples of the mean square of its own part of L_X p: that of the layer's
                   module alone, given what comes in, carried to the output by the derivative of what follows

All layers come from one forward-mode pass for each generator and form (`engine.generators` says what they are and in
which units), without finite differences. ``LieShare`` takes one more pass, backwards, with a random sign for each
output; its square is an unbiased estimate. The transformation set of the pass is not used.

The derivative has the unit of the activations, so layers of different magnitudes cannot be compared by it: ``LEE`` and
``LieShare`` can. A layer without feature maps is not moved by g: its derivative is that of an invariant. Shapes: (1).
Source: N. Gruver, M. Finzi, M. Goldblum and A. G. Wilson, "The Lie derivative for measuring learned equivariance",
2023.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.statistics.base import Context, Statistic

if TYPE_CHECKING:
    from cnn_invariance.measures.engine.prepare import PreparedPass

MEASURES = {
    "LieDerivative": "mean norm of a layer's Lie derivative along a continuous transformation",
    "LieShare": "a layer's own part of the Lie derivative of the output",
    "LEE": "local equivariance error: mean absolute Lie derivative of the softmax of the output",
}
BETTER = {"LieDerivative": "lower", "LieShare": "lower", "LEE": "lower"}
OPTIONS = {
    "generator": ["rotation", "translation_x", "translation_y", "shear_x", "shear_y", "stretch_x", "stretch_y"],
    "form": ["smooth", "reference"],
}
LEVEL = {"LieDerivative": "layer", "LieShare": "layer", "LEE": "network"}
EQUIVARIANCE = ("LieDerivative", "LieShare")
BY_NAME_ONLY = True


def statistics(request: Measure, context: Context) -> Sequence[Statistic]:
    """Nothing of the pass over transformations."""
    return []


def try_pass(prepared: "PreparedPass", asked: Sequence[Measure]) -> None:
    """Take the derivative of one image.

    Errors: InputError that names the operation without a forward-mode derivative.
    """
    from cnn_invariance.measures.engine import derivatives

    derivatives.try_network(prepared)


def own_pass(
    prepared: "PreparedPass",
    asked: Sequence[Measure],
    values: dict[str, list[np.ndarray | None]],
    network: dict[str, np.ndarray],
    reasons: dict[str, dict[str, str]],
    progress: bool,
) -> None:
    """Enter the values of all requests, one pass for each generator and form."""
    from cnn_invariance.measures.engine import derivatives

    for generator, form in dict.fromkeys((request["generator"], request["form"]) for request in asked):
        mine = [request for request in asked if (request["generator"], request["form"]) == (generator, form)]
        shares = any(request.name == "LieShare" for request in mine)
        found = derivatives.measured(prepared, generator, form, shares=shares, progress=progress)
        for request in mine:
            if request.name == "LEE":
                if found.output is not None:
                    network[str(request)] = np.array([found.output])
                else:
                    reasons.setdefault(str(request), {})["network"] = found.why_no_output
                continue
            own = found.norms if request.name == "LieDerivative" else found.shares
            values[str(request)] = [
                None if (value := own.get(layer.name)) is None else np.array([value]) for layer in prepared.layers
            ]
            if request.name == "LieShare":
                reasons.setdefault(str(request), {}).update(found.no_share)
