"""The author's rule for how long a network is trained."""

import math
from typing import Literal

AugmentationEpochs = Literal["author", "same"]


def effective_epochs(epochs: int, members: int, rule: AugmentationEpochs = "author") -> int:
    """The epochs to run with an augmentation of M transformations (``members``; none: 1).

    ``author``: epochs x 1.1 ln M for sets with M > e members, rounded down, and never fewer than
    without augmentation. ``same``: the epochs as they are.

    >>> [effective_epochs(5, members) for members in (1, 2, 3, 25, 504)]
    [5, 5, 6, 17, 34]
    >>> effective_epochs(5, 25, "same")
    5
    """
    if rule == "same" or members <= math.e:
        return epochs
    return math.floor(epochs * max(1.0, 1.1 * math.log(members)))
