"""Every measure on a full ST matrix, in float64 NumPy, written from the definitions alone.

Slow and plain on purpose: nothing here streams, shifts or shares. The engine must agree with it.
"""

import itertools

import numpy as np
from scipy import stats


def spread(A, axis, statistic="std"):
    """Unbiased along one axis; a single value spreads by 0."""
    if A.shape[axis] == 1:
        return np.zeros(np.delete(A.shape, axis))
    return getattr(np, statistic)(A, axis=axis, ddof=1)


def quotient(a, b):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((a == 0) & (b == 0), 1.0, a / b)


def TV(A, statistic="std"):
    """A: (N, M, ...) samples x transformations x units."""
    return spread(A, 1, statistic).mean(0)


def SV(A, statistic="std"):
    return spread(A, 0, statistic).mean(0)


def NV(A, statistic="std"):
    return quotient(TV(A, statistic), SV(A, statistic))


def unit_norm(maps):
    """Scaled to norm 1; a map that is zero stays zero."""
    norm = np.sqrt((maps**2).sum((-2, -1), keepdims=True))
    return np.divide(maps, norm, out=np.zeros_like(maps), where=norm > 0)


def distance(a, b, per, normalize=False):
    if per == "activation":
        return abs(a - b)
    if normalize:
        a, b = unit_norm(a), unit_norm(b)
    return np.sqrt(((a - b) ** 2).sum((-2, -1)))


def mean_distance(pairs, shape, per, normalize):
    values = [distance(a, b, per, normalize) for a, b in pairs]
    return np.mean(values, axis=0) if values else np.zeros(shape)


def TD(A, per="activation", normalize=False):
    shape = A.shape[2:] if per == "activation" else A.shape[2:3]
    return np.mean([mean_distance(itertools.combinations(row, 2), shape, per, normalize) for row in A], axis=0)


def SD(A, per="activation", normalize=False, block=8):
    shape = A.shape[2:] if per == "activation" else A.shape[2:3]
    columns = []
    for j in range(A.shape[1]):
        blocks = [A[start : start + block, j] for start in range(0, len(A), block)]
        pairs = [pair for few in blocks for pair in itertools.combinations(few, 2)]
        columns.append(mean_distance(pairs, shape, per, normalize))
    return np.mean(columns, axis=0)


def ND(A, per="activation", normalize=False):
    return quotient(TD(A, per, normalize), SD(A, per, normalize))


def ANOVA_F(A):
    N, M = A.shape[:2]
    means = A.mean(0)
    between = N * ((means - means.mean(0)) ** 2).sum(0) / max(M - 1, 1)
    within = ((A - means) ** 2).sum((0, 1)) / max(M * (N - 1), 1)
    return quotient(between, within)


def ANOVA(A, alpha=0.99, bonferroni=True):
    N, M = A.shape[:2]
    F = ANOVA_F(A)
    if N == 1 or M == 1:
        return np.zeros_like(F)
    level = (1 - alpha) / (F.size if bonferroni else 1)
    return (stats.f.sf(F, M - 1, M * (N - 1)) < level).astype(float)


def threshold(X, alpha, sign, form):
    """X: (N, ...) the untransformed samples."""
    if form == "percentile":
        return np.sort(sign * X, axis=0)[int(np.floor(alpha * len(X)))]
    return sign * X.mean(0) + stats.norm.ppf(alpha) * spread(X, 0)


def goodfellow(A, X, alpha=0.99, sign=1, form="normal"):
    """L, G and their quotient."""
    level = threshold(X, alpha, sign, form)
    L = (sign * A > level).mean((0, 1))
    G = (sign * X > level).mean(0)
    return L, G, quotient(L, G)


def DSES(A_undone, X, normalize=False):
    """A_undone: (N, M, C, H, W) after undoing; X: (N, C, H, W) of the untransformed samples."""
    return np.mean(
        [[distance(x, a, "map", normalize) for a in row] for x, row in zip(X, A_undone, strict=True)], axis=(0, 1)
    )


def bilinear(images, theta):
    """Sample (..., H, W) at the preimage of each pixel under theta (2, 3), border padding.

    theta maps pixels of the original, about the centre, to pixels of the transformed image; the shift is in shares of
    the side.
    """
    H, W = images.shape[-2:]
    A, t = theta[:, :2], theta[:, 2] * (W, H)
    y, x = np.mgrid[:H, :W].astype(float)
    p = np.stack([x - (W - 1) / 2, y - (H - 1) / 2], -1) - t
    q = p @ np.linalg.inv(A).T + ((W - 1) / 2, (H - 1) / 2)
    q = np.where(abs(q - np.round(q)) < 1e-9, np.round(q), q)  # pixels that rounding moved off their centres
    qx, qy = np.clip(q[..., 0], 0, W - 1), np.clip(q[..., 1], 0, H - 1)
    x0, y0 = np.floor(qx).astype(int), np.floor(qy).astype(int)
    x1, y1 = np.minimum(x0 + 1, W - 1), np.minimum(y0 + 1, H - 1)
    fx, fy = qx - x0, qy - y0
    above = images[..., y0, x0] + fx * (images[..., y0, x1] - images[..., y0, x0])
    below = images[..., y1, x0] + fx * (images[..., y1, x1] - images[..., y1, x0])
    return above + fy * (below - above)


def inverse(theta, size):
    """The inverse of the whole affine map, as a 3 x 3 matrix in pixels."""
    H, W = size
    pixels = np.array([[1, 1, W], [1, 1, H]])
    full = np.vstack([theta * pixels, [0, 0, 1]])
    return np.linalg.inv(full)[:2] / pixels


def undone(A, matrices):
    """A: (N, M, C, H, W); each column is brought back."""
    size = A.shape[-2:]
    return np.stack([bilinear(A[:, j], inverse(theta, size)) for j, theta in enumerate(matrices)], axis=1)
