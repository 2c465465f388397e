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
    if per == "unit":
        return abs(a - b)
    if normalize:
        a, b = unit_norm(a), unit_norm(b)
    return np.sqrt(((a - b) ** 2).sum((-2, -1)))


def shape_of(A, per):
    return A.shape[2:] if per == "unit" else A.shape[2:3]


def mean_of_pairs(items, A, per, normalize):
    """The mean distance of all pairs of items; 0 without a pair."""
    values = [distance(a, b, per, normalize) for a, b in itertools.combinations(items, 2)]
    return np.mean(values, axis=0) if values else np.zeros(shape_of(A, per))


def cut(n, size):
    """The places 0 to n - 1 in blocks; the last has the rest."""
    return [range(start, min(start + size, n)) for start in range(0, n, size)]


def TD(A, per="map", normalize=False, block=None):
    """All pairs of transformations, or the mean over blocks of them."""
    M = A.shape[1]
    blocks = [few for few in cut(M, block or M) if len(few) > 1] or [range(1)]
    return np.mean([mean_of_pairs(row[list(few)], A, per, normalize) for row in A for few in blocks], axis=0)


def all_pairs_SD(A, per="map", normalize=False):
    """What SD estimates."""
    return np.mean([mean_of_pairs(A[:, j], A, per, normalize) for j in range(A.shape[1])], axis=0)


def random_order(N, seed):
    return np.argsort(np.atleast_1d(np.random.PCG64(seed).random_raw(N)), kind="stable")


def SD(A, per="map", normalize=False, block=8, seed=0, labels=None):
    """The samples in a random order, each against the others of its block; or sorted by class, blocks alike."""
    N = len(A)
    order = random_order(N, seed) if labels is None else np.argsort(labels, kind="stable")
    blocks = [order[list(few)] for few in cut(N, block) if len(few) > 1]
    weights = [len(few) if labels is None else 1 for few in blocks]
    if not blocks:
        return np.zeros(shape_of(A, per))
    means = [[mean_of_pairs(A[few, j], A, per, normalize) for j in range(A.shape[1])] for few in blocks]
    return np.average(np.mean(means, axis=1), axis=0, weights=weights)


def SD_error(A, per="map", normalize=False, block=8, seed=0):
    """From the contrast of pairs inside halves of whole blocks and across; all covariances of pairs one by one."""
    N = len(A)
    if block >= N:
        return np.zeros(shape_of(A, per))
    order = random_order(N, seed)
    d = {
        (i, k): np.mean([distance(A[i, j], A[k, j], per, normalize) for j in range(A.shape[1])], axis=0)
        for few in cut(N, block)
        for i, k in itertools.combinations(order[list(few)], 2)
    }
    squares, variances = [], []
    for few in cut(N, block):
        if len(few) == block:
            places = order[list(few)]
            pairs = list(itertools.combinations(range(block), 2))
            inside = [(a < block // 2) == (b < block // 2) for a, b in pairs]
            signs = np.where(inside, 1 / np.sum(inside), -1 / np.sum(np.logical_not(inside)))
            squares.append(sum(s * d[places[a], places[b]] for s, (a, b) in zip(signs, pairs, strict=True)) ** 2)
            variances.append(variance_of_sum(dict(zip(pairs, signs, strict=True)), N))
    paired = sum(len(few) for few in cut(N, block) if len(few) > 1)
    weights = {pair: 2 / ((len(few) - 1) * paired) for few in cut(N, block) for pair in itertools.combinations(few, 2)}
    return np.sqrt(np.mean(squares, axis=0) / variances[0] * max(variance_of_sum(weights, N), 0))


def variance_of_sum(weights, N):
    """Of a weighted sum over pairs of places, of terms of variance 1 that sum to 0 for each of N samples."""
    covariance = {2: 1, 1: -1 / (N - 2), 0: 2 / ((N - 2) * (N - 3))}  # by how many samples two pairs share
    return sum(a * b * covariance[len(set(p) & set(q))] for p, a in weights.items() for q, b in weights.items())


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


def goodfellow(A, X, alpha=0.99, sign=1, form="normal", reference="untransformed"):
    """L, G and their quotient."""
    everything = A.reshape(-1, *A.shape[2:])
    level = threshold(X if reference == "untransformed" else everything, alpha, sign, form)
    L = (sign * A > level).mean((0, 1))
    G = (sign * X > level).mean(0) if reference == "untransformed" else np.full(L.shape, 1 - alpha)
    return L, G, quotient(L, G)


def DSES(A_undone, X, normalize=False):
    """A_undone: (N, M, C, H, W) after undoing; X: (N, C, H, W) of the untransformed samples."""
    return np.mean(
        [[distance(x, a, "map", normalize) for a in row] for x, row in zip(X, A_undone, strict=True)], axis=(0, 1)
    )


def forward_DSES(A, X, matrices, normalize=False):
    """f(t(x)) against t(f(x)): the root of the mean square over the map."""
    moved = np.stack([bilinear(X, theta) for theta in matrices], axis=1)
    a, b = (unit_norm(A), unit_norm(moved)) if normalize else (A, moved)
    return np.sqrt(((a - b) ** 2).mean((-2, -1))).mean((0, 1))


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
