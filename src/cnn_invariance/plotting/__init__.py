"""One look for the whole study: layer profiles, heatmaps, dot plots, captions, and the canvas that writes them.

Everything here draws from tables and numbers. No module knows a model, a spec or a result file, and none imports torch.
"""

from cnn_invariance.plotting.canvas import Canvas
from cnn_invariance.plotting.caption import Caption
from cnn_invariance.plotting.dots import Dot, dot_figure
from cnn_invariance.plotting.heatmaps import heatmap_figure
from cnn_invariance.plotting.profiles import Series, Values, facet_figure, profile_figure
from cnn_invariance.plotting.responses import response_figure
from cnn_invariance.plotting.shares import share_figure
from cnn_invariance.plotting.spreads import spread_figure
from cnn_invariance.plotting.style import Look, family_looks, looks, sequential_looks

__all__ = [
    "Canvas",
    "Caption",
    "Dot",
    "Look",
    "Series",
    "Values",
    "dot_figure",
    "facet_figure",
    "family_looks",
    "heatmap_figure",
    "looks",
    "profile_figure",
    "response_figure",
    "sequential_looks",
    "share_figure",
    "spread_figure",
]
