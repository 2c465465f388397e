"""Verification: a random sample of cached cells, computed again from nothing beside the cache, and compared.

`Verification` says what is computed again; `verdicts` compares and writes. No torch here: the cells are computed by the
stages themselves, into folders of their own.
"""

from cnn_invariance.verification.sample import Verification

__all__ = ["Verification"]
