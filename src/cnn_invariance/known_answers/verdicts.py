"""The rule by which a measure is right, wrong or blind on a network with a known answer.

Its thresholds were fixed before anything was measured. Three things were mended after a first look at results: the
images lie in a smaller disc, so that nothing touches the edge of a map; r of a measure that calls the null perfect is
its badness; and the null answers every part of an image for another image.

A value is turned into a *badness*: the value itself where lower is better, one less the value where higher is better,
at least 0. Its share of the badness of the same network's null, in which each image is answered for another image, is
``r``: 0 says perfect, 1 says that nothing of a transformed sample has to do with the sample. Of a measure that calls
the null perfect, r is the badness itself. Then, by what is known:

- exact: right if ``r <= EXACT``; otherwise wrong, because a failing is reported that is not there.
- broken: right if ``r >= BROKEN``; otherwise blind, because the failing is not seen.
- partly (half of the variance is noise): right if ``BROKEN <= r <= 1 - BROKEN``; blind below, wrong above.
- as another network, of which this one is a small multiple: right if r is that of the other to within a tenth of it;
  otherwise wrong. Here r is relative to the null of the *other* network, because a multiple of a network does not have
  another claim to be equivariant.
- unrelated: right if the badness is at least that of half noise, and more than nothing; otherwise blind.

A measure that has no value on a network, and says why, is neither.
"""

from dataclasses import dataclass
from typing import Literal

from cnn_invariance.known_answers.cases import Answer

EXACT, BROKEN, ALIKE = 0.01, 0.05, 0.1
NOTHING = 1e-6
"""A badness that is rounding."""

Verdict = Literal["right", "wrong", "blind", "no value"]


@dataclass(frozen=True)
class Judged:
    """A verdict, and the share r that it comes from (None: there is no value)."""

    verdict: Verdict
    share: float | None


def badness(value: float, better: str | None) -> float:
    """How far from perfect a value is."""
    return max(0.0, value if better == "lower" else 1 - value)


def share(bad: float, null: float) -> float:
    """``bad / null``; where the null is perfect, too, the badness itself."""
    return bad / null if null > NOTHING else bad


def judge(answer: Answer, bad: float | None, null: float | None, other: float | None = None) -> Judged:
    """The verdict of a measure on a network.

    bad, null: the badness of the network and of its null; None: the measure has no value
    other: of ``as``, the badness of the other network, ``null`` being the other's, too; of ``unrelated``, that of half
        noise

    >>> judge("exact", 0.0, 0.9).verdict, judge("broken", 0.0, 0.9).verdict, judge("exact", 0.7, 0.9).verdict
    ('right', 'blind', 'wrong')
    >>> judge("as", 0.0005, 0.9, 0.5).verdict, judge("unrelated", 0.0, None, 0.4).verdict
    ('wrong', 'blind')
    """
    if bad is None or (null is None and answer != "unrelated") or (answer == "as" and other is None):
        return Judged("no value", None)
    if answer == "unrelated":
        enough = bad > 1e-3 and bad >= (other or 0.0)
        return Judged("right" if enough else "blind", None)
    assert null is not None
    r = share(bad, null)
    if answer == "exact":
        return Judged("right" if r <= EXACT else "wrong", r)
    if answer == "broken":
        return Judged("right" if r >= BROKEN else "blind", r)
    if answer == "partly":
        return Judged("blind" if r < BROKEN else "right" if r <= 1 - BROKEN else "wrong", r)
    assert other is not None
    reference = share(other, null)
    return Judged("right" if abs(r - reference) <= ALIKE * reference else "wrong", r)
