"""The estimate of the mean distance of all pairs of samples: without bias, and with the error that it says."""

import numpy as np
import pytest
import torch
from torch import nn

import cnn_invariance as ci
import oracle
from helpers_measures import small_network, some_images

pytestmark = pytest.mark.filterwarnings("ignore::cnn_invariance.measures.engine.inputs.OneSampleWarning")

MEMBERS = [lambda x: x, lambda x: 0.5 * x + x.flip(3)]
SEEDS = 300
SIGMAS = 4.5  # of the Monte Carlo error; some 20 values are compared in each case


def sorted_by_class(N, spread=3.0):
    """Images whose classes lie far apart, in the order of the classes: the first third is of one class."""
    images = torch.randn(N, 2, 2, 3, generator=torch.Generator().manual_seed(N))
    return images + spread * (torch.arange(N) * 3 // N).view(-1, 1, 1, 1)


def estimates(images, request, seeds=SEEDS):
    """(seeds, values): the measure and its error by each seed of the order."""
    name, _, options = request.partition("[")
    names = [request, f"{name}_error[{options}" if options else f"{name}_error"]
    network = nn.Sequential(nn.Identity()).eval()
    results = [ci.measure(network, images, MEMBERS, names, order_seed=seed) for seed in range(seeds)]
    return [np.array([next(iter(result[one].values())).ravel() for result in results]) for one in names]


def all_pairs(images, per):
    A = np.stack([member(images).double().numpy() for member in MEMBERS], axis=1)
    return oracle.all_pairs_SD(A, per).ravel()


CASES = [  # N of blocks of 8 and of 4: whole blocks, a short last one, a sample alone, less than two blocks
    (24, "SD"),
    (24, "SD[per=unit]"),
    (27, "SD[per=unit]"),
    (25, "SD"),
    (11, "SD[per=unit]"),
    (13, "SD[block_size=4]"),
    (20, "SD[per=unit,block_size=4]"),
    (22, "SD[per=unit,block_size=16]"),
]


@pytest.mark.parametrize(("N", "request_"), CASES)
def test_the_mean_over_orders_is_that_of_all_pairs(N, request_):
    images = sorted_by_class(N)
    found, _ = estimates(images, request_)
    want = all_pairs(images, "unit" if "per=unit" in request_ else "map")
    error = found.std(0, ddof=1) / np.sqrt(SEEDS)
    assert error.max() < 0.02 * want.min()  # a bias of a few per cent would show
    assert np.abs((found.mean(0) - want) / error).max() < SIGMAS


@pytest.mark.parametrize(("N", "request_"), [case for case in CASES if case[0] % 4 != 1])
def test_the_error_is_that_of_the_estimate(N, request_):
    """The mean of its square is the variance over orders, as far as a sample of them tells."""
    found, errors = estimates(sorted_by_class(N), request_, seeds=2 * SEEDS)
    squares, deviations = errors**2, (found - found.mean(0)) ** 2 * len(found) / (len(found) - 1)
    noise = np.hypot(squares.std(0, ddof=1), deviations.std(0, ddof=1)) / np.sqrt(len(found))
    assert np.abs((squares.mean(0) - deviations.mean(0)) / noise).max() < SIGMAS
    ratio = squares.mean() / deviations.mean()
    assert 0.75 < ratio < 1.3


def test_a_sample_left_alone_is_no_part_of_the_error():
    """N = 1 modulo the block: what is missing is of the order of 1 / N, here a tenth of the error."""
    found, errors = estimates(sorted_by_class(65, spread=1.0), "SD[per=unit]", seeds=200)
    assert 0.8 < np.sqrt((errors**2).mean() / found.var(0, ddof=1).mean()) < 1.1


@pytest.mark.parametrize("N", [1, 2, 3, 8])
def test_one_block_holds_all_pairs(N):
    images = sorted_by_class(N)
    found, errors = estimates(images, "SD[per=unit]", seeds=3)
    np.testing.assert_allclose(found, np.broadcast_to(all_pairs(images, "unit"), found.shape), rtol=1e-6, atol=1e-12)
    assert (errors == 0).all()


def test_the_order_in_which_samples_are_given_makes_no_bias():
    """Sorted by class or class in turn, it is one value within the errors of both; of neighbours nearly all pairs would
    be of one class, or none of them.
    """
    sorted_ = sorted_by_class(240)
    in_turn = sorted_.view(3, 80, 2, 2, 3).transpose(0, 1).reshape(240, 2, 2, 3)
    (one, error), (other, _) = (estimates(x, "SD", seeds=4) for x in (sorted_, in_turn))
    assert np.abs(one.mean(0) - other.mean(0)).max() < 4 * error.max() * np.sqrt(2 / 4)
    network, labels = nn.Sequential(nn.Identity()).eval(), (torch.arange(240) * 3 // 240).tolist()
    by_class = ci.measure(network, sorted_, MEMBERS, ["SD[order=class]"], labels)["SD[order=class]"]["0"]
    assert by_class.max() < 0.7 * one.mean(0).min()


def test_the_seed_is_the_order_and_tiles_are_not():
    images = some_images(30)
    turns = ci.transformations.rotation(n=3, closed=False)
    measures = ["SD", "SDSE", "ND[per=unit]", "SD_error", "NV"]
    tiles = [ci.measure(small_network(), images, turns, measures, tile=tile) for tile in (1, 9, 40)]
    other = ci.measure(small_network(), images, turns, measures, order_seed=1)
    assert [result.info["order_seed"] for result in (*tiles, other)] == [0, 0, 0, 1]
    for measure in measures:
        for name, values in tiles[0][measure].items():
            for tiled in tiles[1:]:
                np.testing.assert_allclose(tiled[measure][name], values, rtol=1e-4, atol=1e-6, err_msg=measure)
            if measure == "NV":
                np.testing.assert_allclose(other[measure][name], values, rtol=1e-5, atol=1e-6)
            else:
                assert not np.allclose(other[measure][name], values, rtol=1e-3), measure
