"""What the tests of the measures share."""

import numpy as np
import torch
from torch import nn

from cnn_invariance.transformations import warp


def small_network(channels=2, seed=0):
    """Convolutions, pooling, a dead map, a constant map, dense layers."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(channels, 5, 3, padding=1),
        nn.ELU(),
        nn.MaxPool2d(2),
        nn.Conv2d(5, 19, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(19 * 12, 7),
    ).eval()
    with torch.no_grad():
        network[0].weight[1], network[0].bias[1] = 0, 0.5  # a constant map
        network[3].bias[2] = -100  # dead after the ReLU
    return network.double()  # the float32 values are then the same whatever the batch


def some_images(N=13):
    return torch.randn(N, 2, 6, 8, generator=torch.Generator().manual_seed(1)).double()


def dense(network, images, matrices):
    """The ST matrix of every layer, (N, M, ...), one forward pass per transformation: the float32 values in float64."""
    columns = [[] for _ in network]
    untransformed = []
    with torch.inference_mode():
        for theta in matrices:
            x = warp.transform_all(images, theta[None])[0]
            for k, module in enumerate(network):
                x = module(x)
                columns[k].append(x.float().double().numpy())
        x = images
        for module in network:
            x = module(x)
            untransformed.append(x.float().double().numpy())
    return [np.stack(c, axis=1) for c in columns], untransformed


def close(value, want, what, rtol=1e-5, atol=0.0):
    """Equal to a relative tolerance of the layer's scale; infinities and absences in the same places."""
    assert (value is None) == (want is None), what
    if value is None:
        return
    assert value.shape == want.shape, what
    np.testing.assert_array_equal(np.isinf(value), np.isinf(want), err_msg=what)
    finite = np.isfinite(want)
    scale = np.abs(want[finite]).max(initial=0.0)
    np.testing.assert_allclose(
        value[finite], want[finite], rtol=rtol, atol=max(atol, rtol * 1e-2 * scale, 1e-12), err_msg=what
    )
