"""The C4 network is what it says: equivariant by a permutation of channels, and invariant behind it."""

import pytest
import torch

import cnn_invariance as ci
from cnn_invariance import models
from cnn_invariance.transformations import rotation

SHAPE = (2, 28, 28)


def network():
    torch.manual_seed(0)
    return models.build("C4Conv", SHAPE, 5, width=4).double().eval()


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_image_turns_the_maps_and_moves_them_to_the_next_pose(turns):
    images = torch.randn(3, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for name in ("conv1", "act2", "pool1", "conv4", "conv5"):
            part = network()[: [key for key, _ in network().named_children()].index(name) + 1]
            poses, turned = part(images), part(images.rot90(turns, (2, 3)))
            expected = poses.unflatten(1, (4, -1)).rot90(turns, (3, 4)).roll(turns, 1).flatten(1, 2)
            torch.testing.assert_close(turned, expected)
        torch.testing.assert_close(network()(images), network()(images.rot90(turns, (2, 3))))


def test_nvse_does_not_see_it_and_what_lets_channels_mix_does():
    images = torch.randn(40, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    names = ["NVSE[aggregate=mean]", "FittedResidual", "CKA", "ChannelMatch", "Consistency"]
    result = ci.measure(network(), images, rotation(n=4, closed=False), names)
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5"):
        assert result[names[0]][name].mean() > 0.5
        assert result["FittedResidual"][name] == pytest.approx(0, abs=1e-5)
        assert result["CKA"][name] == pytest.approx(1)
        assert "permuted" in result.mixing()[name]
    assert result[names[0]]["poses"].mean() < 1e-5
    assert "poses" not in result.mixing()
    assert result.network["Consistency"] == 1


def test_it_has_a_lie_derivative_with_the_activation_of_this_package():
    images = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(2))
    result = ci.measure(network().float(), images, rotation(n=4, closed=False), ["LieDerivative", "LEE"])
    assert all(value[0] > 0 for value in result["LieDerivative"].values())
