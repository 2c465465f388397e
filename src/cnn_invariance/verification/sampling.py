"""How many cached cells a verification computes again, and which: options of a run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cnn_invariance.errors import InputError

SAMPLING_OPTIONS = ("verify_cells", "verify_seed", "verify_minutes")


@dataclass(frozen=True)
class Sampling:
    """A random sample of cached cells.

    cells:   at most so many are drawn; those they need are computed too
    seed:    of the draw: the same results and the same seed give the same sample
    minutes: that the computing is estimated to take at most, one cell after the other
    """

    cells: int = 12
    seed: int = 0
    minutes: float = 30.0

    def __post_init__(self) -> None:
        """Values that cannot be are an InputError."""
        whole = all(isinstance(value, int) and not isinstance(value, bool) for value in (self.cells, self.seed))
        number = isinstance(self.minutes, int | float) and not isinstance(self.minutes, bool)
        if not (whole and self.cells >= 1 and self.seed >= 0 and number and 0 < self.minutes < math.inf):
            raise InputError(
                "expected verify_cells of at least 1 and verify_seed of at least 0, both whole, and verify_minutes "
                f"above 0; received {self.cells!r}, {self.seed!r} and {self.minutes!r}"
            )

    @classmethod
    def of_run(cls, options: Mapping[str, Any]) -> "Sampling":
        """The sampling of a Snakemake run, from its ``--config`` (InputError for values that cannot be)."""
        return cls(**{name.removeprefix("verify_"): options[name] for name in SAMPLING_OPTIONS if name in options})

    @property
    def options(self) -> list[str]:
        """The options of ``cnn-invariance verify``."""
        return [f"--cells {self.cells}", f"--seed {self.seed}", f"--minutes {self.minutes:g}"]
