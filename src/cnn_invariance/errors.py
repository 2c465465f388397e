"""The errors a user of the package can cause, and the way they are worded.

A message states what was expected, what was received, what is allowed and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class FailedError(RuntimeError):
    """A stage ran and failed. The message gives the reason and the remedy."""


class InputError(ValueError):
    """The input cannot be used. The message says what is allowed."""


def unknown_name(kind: str, received: object, allowed: Iterable[str]) -> InputError:
    """The error for a name that is not among the ``allowed`` ones. Its message gives the nearest match.

    >>> print(unknown_name("measure", "NW", ["NV", "ANOVA"]))
    unknown measure 'NW'; did you mean 'NV'? allowed: ANOVA, NV
    """
    names = sorted(allowed)
    by_lower_case = {name.lower(): name for name in names}
    nearest = get_close_matches(str(received).lower(), by_lower_case, n=1, cutoff=0.5)
    hint = f"; did you mean {by_lower_case[nearest[0]]!r}?" if nearest else ";"
    return InputError(f"unknown {kind} {received!r}{hint} allowed: {', '.join(names) or 'none'}")
