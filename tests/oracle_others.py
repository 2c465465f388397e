"""The measures of other authors on full activations, in float64 NumPy, written from their formulas alone.

Nothing is streamed or merged, and no moments are used where a direct form exists: maps are fitted by least squares on
stacked observations, canonical correlations come from the singular value decomposition of the observations.
"""

import numpy as np

import oracle


def observed_positions(H, W, at_most):
    if at_most >= H * W:
        return np.arange(H * W)
    return np.sort(np.argsort(np.random.PCG64(0).random_raw(H * W), kind="stable")[:at_most])


def observed_members(M, at_most):
    return list(range(M)) if at_most >= M else [k * M // at_most for k in range(at_most)]


def rows(maps, positions):
    """(n, C, H, W) -> (n * positions, C)."""
    flat = maps.reshape(*maps.shape[:2], -1)[:, :, positions]
    return np.moveaxis(flat, 1, 2).reshape(-1, maps.shape[1])


def pairs_of(A, X, matrices, positions, members, halves=False):
    """For each member the observations (a, b) of channels; of the even and the odd samples if ``halves``."""
    undone = oracle.undone(A, matrices)
    where = observed_positions(*X.shape[-2:], positions)
    parts = [slice(0, None, 2), slice(1, None, 2)] if halves else [slice(None)]
    for j in observed_members(A.shape[1], members):
        found = [(rows(X[part], where), rows(undone[part, j], where)) for part in parts]
        yield found if halves else found[0]


def fitted_residual(A, X, matrices, centred=False, positions=64, members=8):
    values = []
    for (a, b), (a2, b2) in pairs_of(A, X, matrices, positions, members, halves=True):
        if centred:
            a, a2, b, b2 = a - a.mean(0), a2 - a.mean(0), b - b.mean(0), b2 - b.mean(0)
        E = np.linalg.lstsq(a, b, rcond=1e-6)[0]
        values.append(np.linalg.norm(b2 - a2 @ E) / np.linalg.norm(b2))
    return np.array([np.mean(values)])


def procrustes_residual(A, X, matrices, centred=False, positions=64, members=8):
    values = []
    for a, b in pairs_of(A, X, matrices, positions, members):
        if centred:
            a, b = a - a.mean(0), b - b.mean(0)
        left, _, right = np.linalg.svd(a.T @ b)
        values.append(np.linalg.norm(b - a @ left @ right) / np.linalg.norm(b))
    return np.array([np.mean(values)])


def cka(A, X, matrices, positions=64, members=8):
    """By the kernel matrices of the observations."""
    values = []
    for a, b in pairs_of(A, X, matrices, positions, members):
        a, b = a - a.mean(0), b - b.mean(0)
        K, L = a @ a.T, b @ b.T
        values.append((K * L).sum() / np.sqrt((K * K).sum() * (L * L).sum()))
    return np.array([np.mean(values)])


def correlation_matrices(A, X, matrices, positions=64, members=8):
    for a, b in pairs_of(A, X, matrices, positions, members):
        C = a.shape[1]
        found = np.empty((C, C))
        for c in range(C):
            for k in range(C):
                still = np.ptp(a[:, k]) < 1e-6 * abs(a[:, k]).max(), np.ptp(b[:, c]) < 1e-6 * abs(b[:, c]).max()
                still = still[0] or not a[:, k].any(), still[1] or not b[:, c].any()
                found[k, c] = float(all(still)) if any(still) else np.corrcoef(a[:, k], b[:, c])[0, 1]
        yield found


def channel_match(A, X, matrices):
    return np.mean([found.max(0) for found in correlation_matrices(A, X, matrices)], axis=0)


def correlation(A, X, matrices):
    return np.mean([found.diagonal() for found in correlation_matrices(A, X, matrices)], axis=0)


def pooled(maps, side):
    """Means over disjoint windows of ceil(H / side) x ceil(W / side), the last of each axis smaller."""
    H, W = maps.shape[-2:]
    h, w = -(-H // side), -(-W // side)
    return np.stack(
        [
            np.stack([maps[..., y : y + h, x : x + w].mean((-2, -1)) for x in range(0, W, w)], -1)
            for y in range(0, H, h)
        ],
        -2,
    )


def seis(x, y):
    """Of observations (n, d) twice: S_equiv and S_inv, by the decomposition of the observations."""

    def reduced(values):
        left, s, right = np.linalg.svd(values - values.mean(0), full_matrices=False)
        r = int(np.searchsorted(np.cumsum(s**2) / (s**2).sum(), 0.99 - 1e-12)) + 1
        return left[:, :r], right[:r].T / s[:r]

    (u, of_x), (v, of_y) = reduced(x), reduced(y)
    p, rho, q = np.linalg.svd(u.T @ v, full_matrices=False)
    w, z = of_x @ p, of_y @ q.T
    cosine = abs((w * z).sum(0)) / np.linalg.norm(w, axis=0) / np.linalg.norm(z, axis=0)
    return rho.mean(), (rho * cosine).mean()


def seis_of_layer(A, X, side=8, members=8):
    """Mean over members of both."""

    def observations(maps):
        few = pooled(maps, side)
        return few.reshape(-1, few.shape[-2] * few.shape[-1])

    found = [seis(observations(X), observations(A[:, j])) for j in observed_members(A.shape[1], members)]
    return np.mean(found, axis=0)


def deviation(one, other, metric):
    if metric == "euclidean":
        return np.linalg.norm(one - other)
    norms = np.linalg.norm(one), np.linalg.norm(other)
    if not any(norms):
        return 0.0
    return 1 - (one * other).sum() / (norms[0] * norms[1]) if all(norms) else 1.0


def geed(A, X, matrices, metric="euclidean", positions=64):
    """A: (N, M, ...); on layers without feature maps a transformation changes nothing."""
    moved = np.stack([oracle.bilinear(X, t) if X.ndim == 4 else X for t in matrices], 1)
    return _deviations(A, moved, metric, positions)


def geed_invariance(A, metric="euclidean", positions=64):
    return _deviations(A, np.broadcast_to(A.mean(1, keepdims=True), A.shape), metric, positions)


def _deviations(A, B, metric, positions):
    factor = 1.0
    if A.ndim == 5:
        H, W = A.shape[-2:]
        where = observed_positions(H, W, positions)
        A, B = (each.reshape(*each.shape[:3], -1)[..., where] for each in (A, B))
        factor = np.sqrt(H * W / len(where)) if metric == "euclidean" else 1.0
    N, M = A.shape[:2]
    return np.array([factor * np.mean([deviation(A[i, j], B[i, j], metric) for i in range(N) for j in range(M)])])


def softmax(scores):
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def output_measures(A, X):
    """A: (N, M, K) scores, X: (N, K)."""
    N, M, _ = A.shape
    top, p, first = A.argmax(-1), softmax(A), X.argmax(-1)
    pairs = [(j, k) for j in range(M) for k in range(j)]
    return {
        "Consistency": np.mean([top[i, j] == top[i, k] for i in range(N) for j, k in pairs]),
        "TopChange": np.mean([top[i, j] != first[i] for i in range(N) for j in range(M)]),
        "TopProbabilityChange": np.mean(
            [abs(p[i, j, first[i]] - softmax(X)[i, first[i]]) for i in range(N) for j in range(M)]
        ),
        "OutputKL": np.mean([(p[i, j] * np.log(p[i, j] / p[i].mean(0))).sum() for i in range(N) for j in range(M)]),
    }
