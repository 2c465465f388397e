"""The errors a user of the package can cause, and the way they are worded.

A message states what was expected, what was received, what is allowed and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches

MANY = 40
"""A message lists so many allowed names at most."""
SUGGESTED = 5
LONG = 100
"""Characters of a name that are compared with the allowed ones."""


class FailedError(RuntimeError):
    """A stage ran and failed. The message gives the reason and the remedy."""


class InputError(ValueError):
    """The input cannot be used. The message says what is allowed."""


def shortened(text: str, most: int = 160) -> str:
    """A text, with its middle left out where it is long.

    >>> shortened("a" * 1000, 20)
    'aaaaaaaaaa ... aaaaaaaaaa (1,000 characters)'
    """
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]} ({len(text):,} characters)"


def shown(value: object) -> str:
    """A value as messages show it: as Python writes it, and shortened where it is long."""
    return shortened(repr(value))


def unknown_name(kind: str, received: object, allowed: Iterable[str]) -> InputError:
    """The error for a name that is not among the ``allowed`` ones. Its message gives the nearest matches.

    All allowed names follow; where they are many, such as the layers of a deep network, at most five near ones.

    >>> print(unknown_name("measure", "NW", ["NV", "ANOVA"]))
    unknown measure 'NW'; did you mean 'NV'? allowed: ANOVA, NV
    >>> print(unknown_name("layer", "cnv3", [f"conv{k}" for k in range(100)]))
    unknown layer 'cnv3'; did you mean 'conv3', 'conv93', 'conv83', 'conv73' or 'conv63'? 100 names are allowed
    """
    names = sorted(allowed)
    many = len(names) > MANY
    by_lower_case = {name.lower(): name for name in names}
    text = str(received).lower()[:LONG]  # a longer one is no misspelt name, and comparing it takes long
    nearest = get_close_matches(text, by_lower_case, n=SUGGESTED if many else 1, cutoff=0.5)
    *first, last = [repr(by_lower_case[name]) for name in nearest] or [""]
    near = f"{', '.join(first)} or {last}" if first else last
    hint = f"; did you mean {near}?" if near else ";"
    said = f"{len(names)} names are allowed" if many else f"allowed: {', '.join(names) or 'none'}"
    return InputError(f"unknown {kind} {shown(received)}{hint} {said}")
