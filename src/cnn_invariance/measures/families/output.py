"""Measures of the network's output alone: does its answer change under the transformations?

With the scores (logits or log-probabilities) of the classes, p their softmax, and ``top`` the class of the largest
score::

    Consistency          share of (i, j, k), j < k, with top(t_j x_i) = top(t_k x_i)
    TopChange            share of (i, j) with top(t_j x_i) != top(x_i)
    TopProbabilityChange mean_{i,j} | p_c(t_j x_i) - p_c(x_i) |, c = top(x_i)
    OutputKL             mean_{i,j} KL(p(t_j x_i) || mean_k p(t_k x_i))

None of them says whether the answer is right: a network with one answer to everything is perfect. Values are (1);
``per=member`` gives (M), one for each transformation j (of ``Consistency``: the mean over all others). A network
without scores of two classes or more has none. Sources: R. Zhang, "Making convolutional networks shift-invariant
again", 2019; A. Azulay and Y. Weiss, "Why do deep convolutional networks generalize so poorly to small image
transformations?", 2018; H. Kvinge et al., 2022 (softmax G-EED).
"""

from collections.abc import Sequence

from torch import Tensor

from cnn_invariance.measures.requests import Measure
from cnn_invariance.measures.statistics.base import Context, Statistic, over_members

MEASURES = {
    "Consistency": "share of pairs of transformations under which a sample gets the same class",
    "TopChange": "share of samples and transformations with another class than the untransformed sample",
    "TopProbabilityChange": "mean absolute change of the probability of the untransformed sample's class",
    "OutputKL": "mean Kullback-Leibler divergence of the probabilities from their mean over the transformations",
}
BETTER = {"Consistency": "higher", "TopChange": "lower", "TopProbabilityChange": "lower", "OutputKL": "lower"}
OPTIONS = {"per": ["network", "member"]}
LEVEL = {
    "Consistency": "network",
    "TopChange": "network",
    "TopProbabilityChange": "network",
    "OutputKL": "network",
}
BY_NAME_ONLY = True


def statistics(request: Measure, context: Context) -> Sequence[Statistic]:
    """No layer has a value."""
    return []


def of_output(request: Measure, members: Tensor) -> Tensor:
    """Values of each transformation (M) -> (1), or as they are."""
    return over_members(members, request["per"])
