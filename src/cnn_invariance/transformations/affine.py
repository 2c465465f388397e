"""Affine maps of images as 2 x 3 matrices, and sets of them. NumPy only.

A matrix ``[A | t]`` maps a point p of the original image to its place in the transformed image,
``p' = A p + (t_x W, t_y H)``, about the image centre, x to the right and y down. A is in pixel
units, so a rotation is a rotation on a non-square image too; t is in shares of the image sides.
"""

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from math import cos, radians, sin
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cnn_invariance.errors import InputError

Matrices = NDArray[np.float64]

IDENTITY_LABEL = "identity"
SAME = 1e-6
"""Two matrices that differ by no more than this in any entry are one map: by about a thousandth of a pixel at most, on
images of up to 1,000 pixels. Turns by 0 and by 360 degrees are one map even where single precision made them."""
KEY = np.sqrt([2, 3, 5, 7, 11, 13]) / np.sqrt([2, 3, 5, 7, 11, 13]).sum()
"""Weights of a mean of the six numbers of a map, which is another for maps on a grid: members are sorted by it."""

QUARTER_TURNS = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))  # (cos, sin) of 0, 90, 180, 270


@dataclass(frozen=True, eq=False, repr=False)
class AffineSet:
    """A transformation set: M affine maps, in a fixed order.

    name, parameters: those that it was built from, as a preset states them.
    matrices: (M, 2, 3) float64, see the module's docstring for the convention.
    labels: M short texts for figures and tables ("rotation 15 deg"); numbered if not given.

    Errors: InputError if there are no members, the shapes differ from these, or a map is not finite or not invertible.
    """

    name: str
    parameters: Mapping[str, Any]
    matrices: Matrices
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        matrices = as_matrices(self.matrices, f"transformation set {self.name!r}")
        labels = tuple(self.labels) or tuple(f"{self.name} {i}" for i in range(len(matrices)))
        if len(labels) != len(matrices):
            raise InputError(
                f"transformation set {self.name!r} has {len(matrices)} matrices and "
                f"{len(labels)} labels; give one label for each, or none"
            )
        object.__setattr__(self, "matrices", matrices)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))

    def __len__(self) -> int:
        return len(self.matrices)

    def __repr__(self) -> str:
        return f"<AffineSet {self.described}: {len(self)} transformations>"

    @cached_property
    def first_alike(self) -> tuple[int, ...]:
        """For each member the index of the first member that is the same map, within `SAME`: M indices.

        >>> import numpy as np
        >>> AffineSet("still", {}, np.stack([np.eye(2, 3), np.eye(2, 3)])).first_alike
        (0, 0)
        """
        flat = self.matrices.reshape(len(self), -1)
        keys = flat @ KEY  # of maps that are the same, a mean differs by no more than they do
        reach = 2 * SAME + 1e-12 * np.abs(keys).max()
        firsts: list[tuple[float, int]] = []  # sorted, so that few of many members are compared
        found: list[int] = []
        for index, key in enumerate(keys.tolist()):
            near = firsts[bisect.bisect(firsts, (key - reach, -1)) : bisect.bisect(firsts, (key + reach, index))]
            alike = [first for _, first in near if np.abs(flat[first] - flat[index]).max() <= SAME]
            found.append(min(alike, default=index))
            if not alike:
                bisect.insort(firsts, (key, index))
        return tuple(found)

    @property
    def distinct(self) -> int:
        """How many different maps the members are: M, less those that are the same map as an earlier member."""
        return len(set(self.first_alike))

    def coincidence(self) -> str:
        """Which members are one map, in words; empty where all are different.

        Each member has the same weight in every mean and variance over the set, so a map that is there twice counts
        twice.

        >>> import numpy as np
        >>> AffineSet("still", {}, np.stack([np.eye(2, 3), np.eye(2, 3)])).coincidence()
        '2 of 2 members are the identity: 1 different map'
        """
        groups = [group for group in self._groups() if len(group) > 1]
        if not groups:
            return ""
        many = sum(map(len, groups))
        one = "the same map as another member"
        if len(groups) == 1:
            first = groups[0][0]
            still = np.abs(self.matrices[first] - np.eye(2, 3)).max() <= SAME
            one = "the identity" if still else f"one map ({self.labels[first]})"
        maps = "map" if self.distinct == 1 else "maps"
        advice = "; closed=False leaves out the end of the circle" if self.parameters.get("closed") is True else ""
        return f"{many} of {len(self)} members are {one}: {self.distinct} different {maps}{advice}"

    def check_different(self) -> None:
        """Raise InputError if all members are one map: nothing varies over such a set, whatever the network does."""
        if self.distinct == 1:
            alone = "its only member" if len(self) == 1 else f"all of its {len(self)} members"
            raise InputError(
                f"{self.described}: {alone} {'is' if len(self) == 1 else 'are'} one map, and invariance is measured "
                "over different ones; expected at least two different maps: give more members or a wider range "
                "(rotation: closed=False, which leaves out the end of the circle)"
            )

    @property
    def described(self) -> str:
        """The name and the parameters, as they are called."""
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.parameters.items())})"

    def _groups(self) -> list[list[int]]:
        """The members that are one map together, in order of the first."""
        groups: dict[int, list[int]] = {}
        for index, first in enumerate(self.first_alike):
            groups.setdefault(first, []).append(index)
        return list(groups.values())

    @property
    def identity_or_none(self) -> int | None:
        """The index of the first member that is exactly the identity; None if no member is."""
        found = np.flatnonzero(is_identity(self.matrices))
        return int(found[0]) if len(found) else None

    @property
    def identity(self) -> int:
        """The index of the first member that is exactly the identity.

        Errors: InputError if no member is the identity.
        """
        found = np.flatnonzero(is_identity(self.matrices))
        if not len(found):
            raise InputError(
                f"{self!r} has no identity member, which this use needs; "
                "build it with one, or compose it with identity()"
            )
        return int(found[0])

    @property
    def closed_under_composition(self) -> bool:
        """Whether every product of two members is a member, to within 1e-9 in each entry; as on square images.

        A maximum over the members of such a set is invariant to each of them; over those of another set it is not.

        >>> turns = [rotation_matrix(angle) for angle in (0, 90, 180, 270)]
        >>> AffineSet("turns", {}, turns).closed_under_composition
        True
        >>> AffineSet("turns", {}, turns[:2]).closed_under_composition
        False
        """
        m = len(self)
        products = compose(np.repeat(self.matrices, m, axis=0), np.tile(self.matrices, (m, 1, 1)))
        return all(np.isclose(self.matrices, one, rtol=0, atol=1e-9).all(axis=(1, 2)).any() for one in products)


def as_matrices(matrices: ArrayLike, what: str = "matrices") -> Matrices:
    """The float64 copy of (M, 2, 3) matrices, checked.

    Errors: InputError if the shape is another one, M is 0, or a map is not finite or is singular.
    """
    checked = np.array(matrices, dtype=np.float64)
    if checked.ndim != 3 or checked.shape[1:] != (2, 3) or len(checked) == 0:
        raise InputError(f"{what}: expected shape (M, 2, 3), M >= 1; received {checked.shape}")
    if not np.isfinite(checked).all():
        raise InputError(f"{what}: member {_first(~np.isfinite(checked))} has values not finite")
    singular = _determinant(checked) == 0
    if singular.any():
        raise InputError(f"{what}: member {_first(singular)} cannot be inverted (determinant 0)")
    return checked


def rotation_matrix(angle_deg: float) -> Matrices:
    """(2, 3): rotation by an angle in degrees, counter-clockwise as seen (y points down).

    Multiples of 90 degrees have exact entries, so that whole turns are exactly the identity.
    """
    quarters = round(angle_deg / 90)
    if abs(angle_deg - 90 * quarters) < 1e-9:
        c, s = QUARTER_TURNS[quarters % 4]
    else:
        c, s = cos(radians(angle_deg)), sin(radians(angle_deg))
    return np.array([[c, s, 0.0], [-s, c, 0.0]]) + 0.0  # no negative zeros


def scale_matrix(x: float, y: float) -> Matrices:
    """(2, 3): the content is drawn x times as wide and y times as high."""
    return np.array([[x, 0.0, 0.0], [0.0, y, 0.0]])


def translation_matrix(x: float, y: float) -> Matrices:
    """(2, 3): the content moves right by x widths and down by y heights."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def invert(matrices: ArrayLike, size: tuple[int, int] = (1, 1)) -> Matrices:
    """(M, 2, 3): the exact inverse of each whole affine map on images of ``size`` (H, W).

    ``p = A^-1 p' - A^-1 t``: never the map built from negated parameters, which differs for a
    rotation combined with a non-uniform scale. Only the ratio of the sides matters, and only to
    maps that both mix the axes and translate: t counts in sides, A in pixels. The default serves
    all square images.
    """
    return _inverse(as_matrices(matrices), size)


def compose(second: ArrayLike, first: ArrayLike, size: tuple[int, int] = (1, 1)) -> Matrices:
    """(M, 2, 3): ``first``, then ``second``, member by member, on images of ``size`` (H, W).

    As for ``invert``, only the ratio of the sides matters; the default serves all square images,
    and every ``first`` that does not translate.
    """
    a, b = as_matrices(second), as_matrices(first)
    moved = _move(a[..., :2], b[..., 2], size) + a[..., 2]
    return np.concatenate([a[..., :2] @ b[..., :2], moved[..., None]], axis=-1)


def is_identity(matrices: ArrayLike) -> NDArray[np.bool_]:
    """(M,): which members are exactly the identity."""
    return (np.asarray(matrices) == np.eye(2, 3)).all(axis=(-2, -1))


def product(*sets: AffineSet) -> AffineSet:
    """Every combination of one member of each set, applied from left to right.

    Order: that of nested loops, the first set outermost. Count: the product of the counts.
    ``product(rotation(8), translation(1))`` rotates about the image centre, then moves by shares
    of the image sides. Composed for square images; sets that translate come last if the images
    are not square, and the result then holds for all of them.

    Errors: InputError without sets.
    """
    if not sets:
        raise InputError("product() needs at least one transformation set; received none")
    counts = np.meshgrid(*(np.arange(len(one)) for one in sets), indexing="ij")
    chosen = np.stack(counts, axis=-1).reshape(-1, len(sets))  # (M, sets): which member of each
    members = [one.matrices[index] for one, index in zip(sets, chosen.T, strict=True)]
    return AffineSet(
        " x ".join(one.name for one in sets),
        {"sets": tuple({"name": one.name, **one.parameters} for one in sets)},
        reduce(lambda first, second: compose(second, first), members),
        tuple(_join(one.labels[i] for one, i in zip(sets, row, strict=True)) for row in chosen),
    )


def _inverse(matrices: Matrices, size: tuple[int, int]) -> Matrices:
    a, b, c, d = (matrices[:, i, j] for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
    linear = np.stack([np.stack([d, -b], -1), np.stack([-c, a], -1)], -2)
    linear = linear / _determinant(matrices)[:, None, None]
    moved = -_move(linear, matrices[..., 2], size)
    return np.concatenate([linear, moved[..., None]], axis=-1) + 0.0  # no negative zeros


def _move(linear: Matrices, shift: Matrices, size: tuple[int, int]) -> Matrices:
    """(M, 2): ``A t`` with t in shares of the sides, as shares of the sides."""
    height, width = size
    sides = np.array([width, height], dtype=np.float64)
    return np.einsum("mij,mj->mi", linear, shift * sides) / sides


def _determinant(matrices: Matrices) -> Matrices:
    return matrices[:, 0, 0] * matrices[:, 1, 1] - matrices[:, 0, 1] * matrices[:, 1, 0]


def _first(flags: NDArray[np.bool_]) -> int:
    return int(np.argwhere(flags)[0][0])


def _join(labels: Iterable[str]) -> str:
    return ", ".join(label for label in labels if label != IDENTITY_LABEL) or IDENTITY_LABEL
