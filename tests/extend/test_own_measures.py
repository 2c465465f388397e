"""A measure in a file of the user's own: the same as one of the package, and every mistake in it named."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import cnn_invariance as ci
from cnn_invariance.errors import InputError
from cnn_invariance.measures import requests, user_measures
from cnn_invariance.measures.engine import prepare
from cnn_invariance.measures.statistics.base import Context
from cnn_invariance.transformations import rotation
from helpers_extend import SHARE
from helpers_measures import small_network, some_images


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(SHARE)
    return tmp_path


def changed(old, new):
    assert old in SHARE
    Path("mine.py").write_text(SHARE.replace(old, new))


def test_it_is_measured_beside_those_of_the_package(here):
    result = ci.measure(small_network(), some_images(), rotation(n=3, closed=False), ["TV", "SV", "mine.py:ShareT"])
    assert result.profile("ShareT").equals(result.profile("mine.py:ShareT"))
    for layer, share in result["mine.py:ShareT"].items():
        tv, sv = result["TV"][layer], result["SV"][layer]
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(share, np.where(tv + sv == 0, 1, tv / (tv + sv)))
    assert result.plot("mine.py:ShareT").axes[0].get_ylabel() == "ShareT of units"


def test_options_and_stratified_which_it_need_not_name(here):
    labels = torch.arange(13) % 2
    requests = ["mine.py:ShareT[statistic=var,aggregate=mean]", "mine.py:ShareT[stratified=true]"]
    result = ci.measure(small_network(), some_images(), rotation(n=3, closed=False), requests, labels)
    assert result[requests[0]]["0"].shape == (5,)
    halves = [
        ci.measure(small_network(), some_images()[labels == k], rotation(n=3, closed=False), ["mine.py:ShareT"])[
            "mine.py:ShareT"
        ]
        for k in (0, 1)
    ]
    np.testing.assert_allclose(result[requests[1]]["0"], (halves[0]["0"] + halves[1]["0"]) / 2, rtol=1e-6)


def test_requests_are_read_without_running_the_file(here):
    Path("mine.py").write_text("raise SystemExit\n" + SHARE)
    request = requests.check("mine.py:ShareT[aggregate=none, statistic=var]")
    assert str(request) == "mine.py:ShareT[statistic=var]"
    assert requests.label(str(request)) == "ShareT of units (statistic=var)"
    assert requests.describe(request.full_name) == "share of the transformations: TV / (TV + SV)"


def test_statistics_are_shared_with_other_requests_of_the_file(here):
    first, second = (user_measures.load("mine.py") for _ in range(2))
    assert first is second
    changed("TV / (TV + SV)", "something else")
    assert user_measures.load("mine.py") is not first


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("MEASURES =", "MEASURE =", r"mine\.py has no literal MEASURES = .*: it names no measure"),
        ('{"ShareT": "share of the transformations: TV / (TV + SV)"}', "dict(a=1)", "it names no measure"),
        ("def combine", "def combin", r"mine\.py has no function 'combine'"),
        ('["none", "mean"]', '"mean"', r"expected a literal OPTIONS = .*; received \{'statistic'"),
        (
            "BETTER =",
            "WORSE =",
            r"mine\.py does not say which values of ShareT are the more invariant ones; expected a lit",
        ),
        ('"lower"', '"less"', r'expected a literal BETTER = \{"ShareT": "lower"\}, or "higher", or None'),
        ('"ShareT"', '"NV"', r"mine\.py: NV is a measure of this package; choose another name"),
        ('"ShareT"', '"Share"', r"unknown measure in mine\.py 'ShareT'; did you mean 'Share'"),
        ("def statistics(", "def statistics((", r"mine\.py cannot be read as Python"),
    ],
)
def test_what_is_no_family_is_named_without_running_it(here, old, new, message):
    changed(old, new)
    with pytest.raises(InputError, match=message):
        requests.check("mine.py:ShareT")


def test_a_missing_file_and_an_unknown_option(here):
    with pytest.raises(InputError, match=r"no file absent\.py of measures .*check the path"):
        requests.check("absent.py:ShareT")
    with pytest.raises(InputError, match=r"unknown option of mine\.py:ShareT 'agregate'; did you mean 'aggregate'"):
        requests.check("mine.py:ShareT[agregate=mean]")
    with pytest.raises(InputError, match=r"cannot read the measure 'mine\.txt:ShareT'.*file\.py:NAME one of yours"):
        requests.check("mine.txt:ShareT")


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(36, 3)
        self.images = 0

    def forward(self, x):
        self.images += len(x)
        return self.dense(x.flatten(1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "from cnn_invariance.measures",
            "import no_such_x\nfrom cnn_invariance.measures",
            "no_such_x",
        ),
        ("return aggregate(quotient(t, t + s)", "return aggregate(t / z", r"fails on a layer of shape .*NameError"),
        (
            'return aggregate(quotient(t, t + s), request["aggregate"])',
            "return (t / s).sum()",
            r"turns a layer of shape \(3,\) into \(\); expected a tensor of shape \(3,\)",
        ),
        ("combine(request, context, t, s)", "combine(request, context, t)", "fails on a layer of shape .*TypeError"),
        (
            'return aggregate(quotient(t, t + s), request["aggregate"])',
            "return (t + s)[..., :2]",
            r"mine\.py:ShareT turns a layer of shape \(3,\) into \(2,\); expected a tensor of shape \(3,\)",
        ),
        ('return aggregate(quotient(t, t + s), request["aggregate"])', "return 3", "into int; expected a tensor"),
        (
            "return [Spread(axis, request",
            "return [axis + str(request",
            r"statistics returned .*expected a list of statistics",
        ),
        ("return [Spread(axis, request", "return None and [Spread(axis, request", "statistics returned None; expected"),
        ("return [Spread(axis, request", "return [Spread(no_axis, request", r"mine\.py:ShareT fails .*NameError"),
    ],
)
def test_what_fails_when_it_is_run_is_named_before_the_pass(here, old, new, message):
    changed(old, new)
    model = Counting().eval()
    with pytest.raises(InputError, match=message):
        ci.measure(model, torch.rand(9, 1, 6, 6), rotation(n=3, closed=False), ["mine.py:ShareT"])
    assert model.images < 27


def test_one_that_undoes_says_so(here):
    changed('request["statistic"])', 'request["statistic"], undone=True)')
    dense_has_none = "    if not context.layer.spatial:\n        return []\n"
    text = Path("mine.py").read_text().replace("context):\n    return [", f"context):\n{dense_has_none}    return [", 1)
    Path("mine.py").write_text(text)
    with pytest.raises(InputError, match=r"say so at the top of mine\.py: UNDONE = \(\"ShareT\",\)"):
        user_measures.check(requests.check("mine.py:ShareT"))
    Path("mine.py").write_text(text + 'UNDONE = ("ShareT",)\n')
    result = ci.measure(small_network(), some_images(), rotation(n=3, closed=False), ["mine.py:ShareT"])
    assert "6" not in result["mine.py:ShareT"]
    assert result.absent("mine.py:ShareT")["6"].startswith("units, not feature maps")
    with pytest.raises(InputError, match="ShareT needs transformations that can be undone"):
        ci.measure(small_network(), some_images(), [lambda x: x, torch.neg], ["mine.py:ShareT"])


@pytest.mark.parametrize("name", requests.names())
def test_families_name_what_they_undo_as_they_do(name):
    request = requests.check(name)
    family = prepare._family(request)
    needed = family.statistics(request, Context(user_measures.PROBES[0], 2, 2, torch.device("cpu")))
    assert requests.undoes(request) == any(one.undone for one in needed)


def test_the_home_folder_is_found(here, monkeypatch):
    monkeypatch.setenv("HOME", os.fspath(here))
    assert requests.check("~/mine.py:ShareT").name == "ShareT"
    assert user_measures.load("~/mine.py").MEASURES
