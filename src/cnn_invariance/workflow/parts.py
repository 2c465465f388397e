"""A share of a study's networks, with the cells that measure them: for machines that know nothing of each other."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cnn_invariance.errors import InputError
from cnn_invariance.study import Cell


@dataclass(frozen=True)
class Part:
    """Part ``number`` of ``count``: the cells of the networks whose hash, modulo the count, is the number less one.

    Every network is in one part, whatever else the preset has, and a cell needs its own network alone; so no cell is in
    two parts, and all parts are everything.
    """

    number: int = 1
    count: int = 1

    @classmethod
    def read(cls, text: str) -> "Part":
        """A part as the command line names it, such as ``2/5`` (InputError for anything else).

        >>> Part.read("2/5")
        Part(number=2, count=5)
        """
        found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text.strip())
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise InputError(f"expected a part such as 2/5, a number from 1 to the count of parts; received {text!r}")
        return cls(int(found[1]), int(found[2]))

    def has(self, cell: Cell) -> bool:
        """Whether a cell is of this part."""
        return int(cell.network.hash[:12], 16) % self.count == self.number - 1

    def of(self, cells: Iterable[Cell]) -> list[Cell]:
        """The cells of this part, in order."""
        return list(filter(self.has, cells))


WHOLE = Part()
"""Everything."""
