"""Second moments of variables a, and of variables b under each of several transformations, tile by tile in float64."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class CrossMoments:
    """Of n observations of p variables a, and of q variables b under each of m transformations.

    Sums are about the means, and two parts are merged by the equation of Chan et al.:
    ``S = S_1 + S_2 + n_1 n_2 / n (mean_1 - mean_2) (mean_1 - mean_2)^T``.

    Attributes:
        n: observations.
        mean_a, mean_b: (p) and (m, q).
        aa, ab: (p, p) and (m, p, q), sums of products about the means.
        bb: (m, q, q), or its diagonals (m, q).
    """

    n: int
    mean_a: Tensor
    mean_b: Tensor
    aa: Tensor
    ab: Tensor
    bb: Tensor

    @staticmethod
    def bytes_of_pairs(p: int, q: int, m: int, *, whole_bb: bool) -> int:
        """The bytes of aa, ab, and bb if it is whole."""
        return 8 * (p * p + m * p * q + (m * q * q if whole_bb else 0))

    @classmethod
    def empty(cls, p: int, q: int, m: int, device: torch.device, *, whole_bb: bool) -> "CrossMoments":
        """Without observations."""

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=device)

        return cls(0, zeros(p), zeros(m, q), zeros(p, p), zeros(m, p, q), zeros(m, q, q) if whole_bb else zeros(m, q))

    def add(self, a: Tensor, b: Tensor) -> None:
        """Observations a (n, p) with b (m, n, q)."""
        n = len(a)
        if n == 0:
            return
        mean_a, mean_b = a.mean(0), b.mean(1)
        apart_a, apart_b = mean_a - self.mean_a, mean_b - self.mean_b
        weight = (self.n * n / (self.n + n)) ** 0.5
        # the last row is the term of the means, so that one product of matrices adds everything
        a = torch.cat([a - mean_a, weight * apart_a[None]])
        b = torch.cat([b - mean_b[:, None], weight * apart_b[:, None]], 1)
        self.aa.addmm_(a.T, a)
        self.ab.baddbmm_(a.T.expand(len(b), -1, -1), b)
        if self.bb.ndim == 3:
            self.bb.baddbmm_(b.mT, b)
        else:
            self.bb += b.square().sum(1)
        self.n += n
        self.mean_a += apart_a * (n / self.n)
        self.mean_b += apart_b * (n / self.n)

    def merged(self, other: "CrossMoments") -> "CrossMoments":
        """The moments of both."""
        n = self.n + other.n
        if n == 0:
            return self
        weight = self.n * other.n / n
        a, b = other.mean_a - self.mean_a, other.mean_b - self.mean_b
        of_b = b[:, :, None] * b[:, None] if self.bb.ndim == 3 else b.square()
        share = other.n / n
        return CrossMoments(
            n,
            self.mean_a + share * a,
            self.mean_b + share * b,
            self.aa + other.aa + weight * torch.outer(a, a),
            self.ab + other.ab + weight * a[None, :, None] * b[:, None],
            self.bb + other.bb + weight * of_b,
        )

    def about_zero(self) -> "CrossMoments":
        """Sums of products of the variables themselves in the place of those about the means."""
        a, b = self.mean_a, self.mean_b
        of_b = b[:, :, None] * b[:, None] if self.bb.ndim == 3 else b.square()
        return CrossMoments(
            self.n,
            torch.zeros_like(a),
            torch.zeros_like(b),
            self.aa + self.n * torch.outer(a, a),
            self.ab + self.n * a[None, :, None] * b[:, None],
            self.bb + self.n * of_b,
        )

    @property
    def squares_a(self) -> Tensor:
        """(p)."""
        return self.aa.diagonal()

    @property
    def squares_b(self) -> Tensor:
        """(m, q)."""
        return self.bb.diagonal(dim1=1, dim2=2) if self.bb.ndim == 3 else self.bb

    @property
    def finite(self) -> bool:
        """Whether all moments are finite."""
        return all(bool(one.isfinite().all()) for one in (self.aa, self.ab, self.bb, self.mean_a, self.mean_b))
