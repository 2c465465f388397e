"""Files of a user's own: a network, transformations that are not affine, a measure."""

NETWORK = """
from torch import nn


def build(input_shape, classes, *, width=2):
    return nn.Sequential(nn.Conv2d(input_shape[0], width, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(classes))
"""
BRIGHTNESS = """
def brightness(n=2):
    return [lambda images, k=k: images * (1 + k / 4) for k in range(n)]
"""
SHARE = '''\
"""The share of transformations in the spread."""
from cnn_invariance.measures import Spread, aggregate, quotient

MEASURES = {"ShareT": "share of the transformations: TV / (TV + SV)"}
OPTIONS = {"statistic": ["std", "var"], "aggregate": ["none", "mean"]}


def statistics(request, context):
    return [Spread(axis, request["statistic"]) for axis in ("transformations", "samples")]


def combine(request, context, t, s):
    return aggregate(quotient(t, t + s), request["aggregate"])
'''
