"""Intervals over samples: their coverage, what they are made of, and where there are none."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance.errors import InputError
from cnn_invariance.measures import MeasureResult, requests
from cnn_invariance.measures.uncertainty import Uncertainty
from cnn_invariance.transformations import rotation
from helpers_measures import close, small_network, some_images

TURNS = rotation(n=4, closed=False)
M, UNITS, LAYERS = 4, 16, 200


class Part(nn.Module):
    """One made-up layer: a slice of the image that a roll along the rows changes as a transformation would."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def forward(self, x):
        return x[:, self.number, 0].contiguous()


class MadeUp(nn.Module):
    """Layers of images (N, LAYERS, M, UNITS), each an ST matrix of its own under the rolls."""

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList(Part(k) for k in range(LAYERS))

    def forward(self, x):
        for part in self.parts:
            last = part(x)
        return last


ROLLS = [lambda x, j=j: x.roll(j, 2) for j in range(M)]
SHAPES = {
    "normal": lambda x: x,
    "skewed": lambda x: (0.5 * x).exp(),
    "ReLU-like": lambda x: (x - 0.5).clamp(min=0),
}


def made_up(shape, N, seed):
    """Effects of the sample, of the sample on a unit, of a transformation, and of both."""
    generator = torch.Generator().manual_seed(seed)
    sample, own, both, transformation = (
        torch.randn(N, LAYERS, *size, generator=generator) for size in ((1, 1), (1, UNITS), (M, UNITS), (M, 1))
    )
    return SHAPES[shape](0.5 * sample + own + 0.6 * both + 0.3 * transformation)


def test_coverage():
    """Nominal 95 %: 93 to 97 % over shapes and N, each with a Monte Carlo error of 0.6 % for 1200 intervals.

    The layers are independent draws, so the mean over them stands for the mean over draws of N samples.
    """
    network, measures = MadeUp().eval(), ["NV", "TV", "ND"]
    held = {measure: [] for measure in measures}
    for seed, (shape, N) in enumerate((shape, N) for shape in SHAPES for N in (64, 150)):
        result = ci.measure(network, made_up(shape, N, seed), ROLLS, measures, uncertainty=True, tile=5)
        for measure in measures:
            profile = result.profile(measure)
            inside = profile["value"].mean().item()
            held[measure].append(((profile["low"] <= inside) & (inside <= profile["high"])).mean())
    for measure, shares in held.items():
        assert 0.93 <= np.mean(shares) <= 0.97, (measure, shares)
        assert min(shares) >= 0.95 - 4 * (0.95 * 0.05 / LAYERS) ** 0.5, (measure, shares)


@pytest.fixture(scope="module")
def measured():
    N, measures = 130, [*requests.names(), "NV[aggregate=mean]", "SV[statistic=var]", "ND[per=unit]"]
    return ci.measure(small_network(), some_images(N), TURNS, measures, uncertainty=True)


def test_values_are_those_without(measured):
    plain = ci.measure(small_network(), some_images(130), TURNS, measured.measures)
    assert plain.uncertainty is None
    assert "low" not in plain.profile("NV")
    for measure in plain.measures:
        for a, b in zip(measured.values[measure], plain.values[measure], strict=True):
            close(a, b, measure, atol=1e-6)


def test_profiles_without_a_group_and_of_the_first_groups(measured):
    """A pass over the samples that are left gives the same where sums over samples are all there is.

    Of the others, the standard error is that of the jackknife with such passes, but for terms of the order 1 / N.
    """
    order = np.argsort(np.random.PCG64(0).random_raw(130), kind="stable")
    sizes, exact = measured.uncertainty.sizes, ["TV", "TVSE", "TD", "DSES"]
    near = ["SV", "SV[statistic=var]", "NV", "NVSE", "NV[aggregate=mean]"]
    again = {measure: [] for measure in exact + near}
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        for table, indices in (("without", np.r_[0 : end - size, end:130]), ("nested", np.arange(end))):
            one = ci.measure(small_network(), some_images(130)[order[indices]], TURNS, exact + near)
            for measure in again:
                want = one.profile(measure)["value"].to_numpy()
                found = getattr(measured.uncertainty, table)[measure][: len(want), len(again[measure]) // 2]
                if table == "nested" or measure in exact:
                    np.testing.assert_allclose(found, want, rtol=1e-5, err_msg=measure)
                again[measure].append(want)
    for measure in near:
        without, nested = np.array(again[measure][::2]).T, np.array(again[measure][1::2]).T
        direct = Uncertainty(sizes, {measure: without}, {measure: nested}, {}).standard_error(measure)
        found = measured.uncertainty.standard_error(measure)[: len(direct)]
        np.testing.assert_allclose(found, direct, rtol=0.2, err_msg=measure)


def test_units_that_never_vary_stay_dead():
    """Left out or not: 0 / 0 is 1, whatever group the one sample is in that makes another unit fire."""
    images = torch.zeros(60, 1, 1, 2)
    images[17, 0, 0, 0] = 5.0
    result = ci.measure(nn.Flatten().eval(), images, [lambda x: x, lambda x: x.flip(3)], ["NV"], uncertainty=True)
    constant = ci.measure(nn.Flatten().eval(), images * 0, [lambda x: x, lambda x: x + 1], ["TV", "NV"], uncertainty=5)
    without = result.uncertainty.without["NV"][0]
    assert np.isclose(without, 1).sum() == 1  # the group of sample 17
    np.testing.assert_allclose(constant.profile("TV")[["low", "high"]], [[0.5**0.5] * 2], rtol=1e-6)
    assert np.isnan(constant.profile("NV")["low"]).all()  # infinite units alone


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).normal(size=12)
    without = np.array([[np.delete(values, k).mean() for k in range(12)]])
    nested = np.array([[values[: k + 1].mean() for k in range(12)]])
    found = Uncertainty((1,) * 12, {"m": without}, {"m": nested}, {})
    np.testing.assert_allclose(found.standard_error("m"), values.std(ddof=1) / 12**0.5)
    low, high = found.interval("m", 1, confidence=0.9)
    np.testing.assert_allclose((high - low) / 2, found.standard_error("m") * 1.795885, rtol=1e-6)  # t(11), tables


def test_unequal_groups():
    """Whatever the sizes of the groups, the variance of a mean is estimated without bias."""
    sizes, rng = np.array([1, 2, 3, 4, 5, 1, 2, 6]), np.random.default_rng(1)
    ends = np.cumsum(sizes)
    squares = []
    for _ in range(4000):
        values = rng.normal(size=24)
        groups = np.split(values, ends[:-1])
        without = [(values.sum() - own.sum()) / (24 - len(own)) for own in groups]
        nested = [values[:end].mean() for end in ends]
        one = Uncertainty(tuple(sizes), {"m": np.array([without])}, {"m": np.array([nested])}, {})
        squares.append(one.standard_error("m")[0] ** 2)
    assert abs(np.mean(squares) * 24 - 1) < 4 * np.std(squares) * 24 / 4000**0.5


def test_no_interval_and_why():
    labels = torch.arange(80) % 2
    asked = ["NV", "ND[order=class,block_size=4]", "ANOVA", "SD_error", "Goodfellow_G", "SD[block_size=64]"]
    result = ci.measure(small_network(), some_images(80), TURNS, asked, labels, uncertainty=True)
    assert list(result.no_interval) == asked  # blocks of 64 make one group of all
    assert "the samples make 2 groups of whole blocks" in result.no_interval["NV"]
    asked.remove("SD[block_size=64]")
    result = ci.measure(small_network(), some_images(80), TURNS, asked, labels, uncertainty=True)
    why = result.no_interval
    assert list(why) == asked[1:]
    assert "in an order by class" in why["ND[order=class,block_size=4]"]
    assert "F grows with the number of samples" in why["ANOVA"]
    assert "standard error itself" in why["SD_error"]
    assert result.profile("NV")["low"].notna().all()
    assert result.profile("ANOVA")[["low", "high"]].isna().to_numpy().all()
    with pytest.raises(InputError, match=r"ANOVA has no intervals: F grows"):
        result.convergence("ANOVA")
    result = ci.measure(
        small_network(), some_images(80), TURNS, ["NV", "TV[stratified=true]"], labels, uncertainty=True
    )
    assert result.no_interval["TV[stratified=true]"] == "it is taken class by class"
    assert "in a pass without such" in result.no_interval["NV"]


@pytest.mark.parametrize("wrong", [4, 14, 2.5, "yes"])
def test_a_number_of_groups_that_cannot_be(wrong):
    with pytest.raises(InputError, match=r"uncertainty is .*; expected True for 10 groups .* from 5 to .* samples, 13"):
        ci.measure(small_network(), some_images(), TURNS, ["NV"], uncertainty=wrong)


def test_groups_are_as_many_as_asked_whatever_the_tile():
    for tile in (1, 4, 1000, None):
        result = ci.measure(small_network(), some_images(60), TURNS, ["NV"], tile=tile, uncertainty=6)
        assert len(result.uncertainty.sizes) == 6
        assert sum(result.uncertainty.sizes) == 60


def test_the_convergence_table(measured):
    table = measured.convergence("NVSE")
    assert table.columns.tolist() == ["layer_index", "layer", "samples", "value"]
    assert table["samples"].tolist() == np.cumsum(measured.uncertainty.sizes).tolist() * 5
    last = table[table["samples"] == 130]["value"]
    np.testing.assert_allclose(last, measured.profile("NVSE")["value"], rtol=1e-6)
    with pytest.raises(InputError, match="no groups of samples; measure with uncertainty=True"):
        ci.measure(small_network(), some_images(), TURNS, ["NV"]).convergence("NV")


def test_the_file_keeps_them(measured, tmp_path):
    measured.save(tmp_path / "r.parquet")
    loaded = MeasureResult.load(tmp_path / "r.parquet")
    assert loaded.no_interval == measured.no_interval
    for measure in measured.measures:
        assert loaded.profile(measure).equals(measured.profile(measure))
    assert loaded.convergence("ND").equals(measured.convergence("ND"))


def test_the_plot_has_a_band(measured):
    (axes,) = measured.plot("NV").axes
    (band,) = axes.collections[:1]
    ends = band.get_paths()[0].vertices[:, 1]
    profile = measured.profile("NV")
    assert np.isclose(ends.min(), profile["low"].min())
    assert np.isclose(ends.max(), profile["high"].max())
    texts = [text.get_text() for legend in axes.get_figure().legends for text in legend.get_texts()]
    assert "95 % interval over samples" in texts
    assert not any("95 %" in text for text in texts_of(ci.measure(small_network(), some_images(), TURNS, ["NV"])))


def texts_of(result):
    return [text.get_text() for legend in result.plot().legends for text in legend.get_texts()]


def test_nothing_of_it_is_loaded_where_it_is_not_asked_for():
    code = (
        "import sys, torch, cnn_invariance as ci\n"
        "ci.measure(torch.nn.Flatten().eval(), torch.rand(4, 1, 2, 2), [lambda x: x, lambda x: -x], ['NV'])\n"
        "print('cnn_invariance.measures.engine.groups' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
