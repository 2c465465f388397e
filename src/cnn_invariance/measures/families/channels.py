"""Measures that let channels mix: is there a map of channels that carries f(x) over into the undone ``t^-1 f(t x)``?

The measures of variance and distance compare channel by channel. A network that is exactly equivariant but permutes
its channels, as every group convolution does, has a high NVSE, while a fitted map explains everything. With ``a =
f(x_i)`` and ``b_j = t_j^-1 f(t_j x_i)``, C channels each, at one position, and cross-moments over samples and
positions::

    FittedResidual      min_E sum || b - E a ||^2, E linear, the same at every position, fitted on the even samples; the
                        residual on the odd ones over || b ||: 0 to 1, or more where the fit does not carry over
    ProcrustesResidual  the same with E orthogonal, of all samples: sqrt((tr C_aa + tr C_bb - 2 || C_ab ||_*) / tr C_bb)
    CKA                 || C_ab ||_F^2 / (|| C_aa ||_F || C_bb ||_F), centred
    ChannelMatch        of each channel c of b the largest correlation with a channel c' of a
    ChannelPartner      that c', counted from 0, under the transformation ``member`` of those that are looked at
    Correlation         of each channel, the correlation of a_c and b_c

Values are means over the transformations that are looked at; ``per=member`` gives one for each. ``centred=true`` lets E
add a constant (an affine map), and takes ``|| b ||`` about the mean. Which ``positions`` and ``members`` are looked at,
`statistics.samples_of_positions` says. A layer without feature maps has no value, nor a layer in which nothing varies;
the fitted map has none if a half of the samples has no more observations than there are channels. A constant channel
correlates with nothing: 0; two constant ones count as the same: 1.

Shapes: (1), or (m) of ``per=member``; (C) of channels. Sources: K. Lenc and A. Vedaldi, "Understanding image
representations by measuring their equivariance and equivalence", 2015 (after it: the map is fitted in closed form);
S. Kornblith et al., "Similarity of neural network representations revisited", 2019; C. Olah et al., "Naturally
occurring equivariance in neural networks", 2020 (made measurable here); R.-J. Bruintjes et al., 2023 (after it: its
exact sums could not be read).
"""

from collections.abc import Sequence

from torch import Tensor

from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.statistics.base import Context, NoValueError, Statistic
from cnn_invariance.measures.statistics.channels import Channels

MEASURES = {
    "FittedResidual": "relative residual of the best linear map of channels from f(x) to t^-1(f(t(x)))",
    "ProcrustesResidual": "relative residual of the best orthogonal map of channels from f(x) to t^-1(f(t(x)))",
    "CKA": "linear centred kernel alignment of f(x) and t^-1(f(t(x))), positions as observations",
    "ChannelMatch": "largest correlation of a channel of t^-1(f(t(x))) with any channel of f(x)",
    "ChannelPartner": "the channel of f(x), from 0, that a channel of t^-1(f(t(x))) correlates with most",
    "Correlation": "correlation of a channel of t^-1(f(t(x))) with the same channel of f(x)",
}
BETTER = {
    "FittedResidual": "lower",
    "ProcrustesResidual": "lower",
    "CKA": "higher",
    "ChannelMatch": "higher",
    "ChannelPartner": None,
    "Correlation": "higher",
}
OPTIONS = {
    "centred": [False, True],
    "per": ["layer", "member"],
    "member": [1, 0, 2, 3, 4, 5, 6, 7],
    "positions": [64, 16, 32, 128, 256, 1024, 4096],
    "members": [8, 1, 2, 4, 16, 32, 64, 128, 256, 512],
}
LIMITED = {
    "centred": ("FittedResidual", "ProcrustesResidual"),
    "per": ("FittedResidual", "ProcrustesResidual", "CKA"),
    "member": ("ChannelPartner",),
}
UNDONE = ("FittedResidual", "ProcrustesResidual", "CKA", "ChannelMatch", "ChannelPartner", "Correlation")
OF_MAPS = ("ChannelMatch", "ChannelPartner", "Correlation")
LEVEL = {"FittedResidual": "layer", "ProcrustesResidual": "layer", "CKA": "layer"}
BY_NAME_ONLY = True

KINDS = {
    "FittedResidual": "fitted",
    "ProcrustesResidual": "procrustes",
    "CKA": "cka",
    "ChannelMatch": "match",
    "ChannelPartner": "partner",
    "Correlation": "correlation",
}


def statistics(request: Measure, context: Context) -> Sequence[Statistic]:
    """The comparison that a measure is of; none where a layer has no feature maps."""
    if not context.layer.spatial:
        return []
    centred = bool(dict(request.options).get("centred", False))
    return [Channels(KINDS[request.name], request["positions"], request["members"], centred)]  # type: ignore[arg-type]


def combine(request: Measure, context: Context, *values: Tensor) -> Tensor:
    """The mean over transformations, (1) or (C); one for each, (m); or the partner under one of them, (C)."""
    (found,) = values
    if request.name == "ChannelPartner":
        if request["member"] >= len(found):
            raise NoValueError(f"only {len(found)} transformations are looked at, and member is {request['member']}")
        return found[request["member"]]
    if request.name in OF_MAPS:
        return found.mean(0)
    return found if request["per"] == "member" else found.mean(0, keepdim=True)
