"""Lists in sentences."""

from collections.abc import Sequence


def enumerated(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> enumerated(["NV"]), enumerated(["NV", "ND"]), enumerated(["NV", "NVSE", "ND"])
    ('NV', 'NV and ND', 'NV, NVSE and ND')
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
