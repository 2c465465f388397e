"""Images of one dataset in the shape of another."""

import numpy as np
import pytest
import torch

from cnn_invariance.datasets import Dataset, adapt
from cnn_invariance.errors import InputError


def images(*shape: int) -> torch.Tensor:
    random = np.random.default_rng(0)
    return torch.from_numpy(random.integers(0, 256, shape, dtype=np.uint8))


def test_what_fits_stays() -> None:
    same = images(2, 3, 8, 8)
    assert adapt(same, (3, 8, 8)) is same


def test_grey_is_repeated() -> None:
    grey = images(2, 1, 8, 8)
    assert torch.equal(adapt(grey, (3, 8, 8)), grey.expand(2, 3, 8, 8))


def test_colour_becomes_grey_as_the_mean_of_its_channels() -> None:
    colour = images(2, 3, 8, 8)
    expected = np.round(colour.numpy().astype(float).mean(axis=1, keepdims=True))
    assert np.array_equal(adapt(colour, (1, 8, 8)).numpy(), expected)


def bilinear(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Each pixel's centre in the image between its four neighbours, those beyond the border as on it."""
    for axis, length in enumerate(size):
        old = image.shape[axis]
        place = np.clip((np.arange(length) + 0.5) * old / length - 0.5, 0, old - 1)
        low = np.floor(place).astype(int)
        high, share = np.minimum(low + 1, old - 1), place - low
        share = share[:, None] if axis == 0 else share
        image = image.take(low, axis) * (1 - share) + image.take(high, axis) * share
    return image


@pytest.mark.parametrize("size", [(32, 32), (28, 28), (9, 14)])
def test_sizes_change_by_bilinear_resampling_without_antialiasing(size: tuple[int, int]) -> None:
    grey = images(2, 1, 20, 20)
    ours = adapt(grey, (1, *size))
    assert ours.dtype == torch.uint8
    for image, resized in zip(grey, ours, strict=True):
        expected = bilinear(image[0].numpy().astype(float), size)
        assert np.abs(resized[0].numpy() - expected).max() <= 0.5 + 1e-3


def test_both_at_once() -> None:
    assert adapt(images(2, 1, 28, 28), (3, 32, 32)).shape == (2, 3, 32, 32)
    assert adapt(images(2, 3, 32, 32), (1, 28, 28)).shape == (2, 1, 28, 28)


def test_a_constant_stays_that_constant() -> None:
    for value in (0, 7, 255):
        flat = torch.full((1, 3, 10, 10), value, dtype=torch.uint8)
        assert (adapt(flat, (1, 28, 28)) == value).all()


def test_other_channels_and_dtypes_are_refused() -> None:
    with pytest.raises(InputError, match="2 channels into 3"):
        adapt(images(1, 2, 4, 4), (3, 4, 4))
    with pytest.raises(InputError, match="expected uint8 images"):
        adapt(torch.zeros(1, 1, 4, 4), (1, 4, 4))


def test_an_adapted_dataset_is_normalised_by_its_own_adapted_training_images():
    grey = np.random.default_rng(0).integers(0, 256, (30, 1, 28, 28), dtype=np.uint8)
    splits = {"train": np.arange(20), "validation": np.arange(20, 25), "test": np.arange(25, 30)}
    data = Dataset.create("grey", grey, np.arange(30) % 2, splits, ("a", "b"))
    coloured = data.adapted((3, 32, 32))
    assert coloured.input_shape == (3, 32, 32)
    np.testing.assert_array_equal(coloured.labels, data.labels)
    expected = adapt(torch.from_numpy(grey), (3, 32, 32))
    torch.testing.assert_close(torch.from_numpy(coloured.images), expected)
    seen = coloured.normalise(expected[:20])
    torch.testing.assert_close(seen.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.std(dim=(0, 2, 3), correction=0), torch.ones(3))
    assert data.adapted((1, 28, 28)) is data
