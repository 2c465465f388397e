"""Requests for measures as text."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_invariance.errors import InputError
from cnn_invariance.measures import requests


def test_every_measure_of_the_definitions_is_there():
    want = "TV SV NV TD SD ND ANOVA_F ANOVA Goodfellow Goodfellow_L Goodfellow_G TVSE SVSE NVSE TDSE SDSE NDSE DSES"
    assert sorted(requests.names()) == sorted([*want.split(), "SD_error", "SDSE_error"])
    assert all(requests.describe(name) for name in requests.names())


def test_defaults_are_filled_in():
    request = requests.check("Goodfellow")
    assert dict(request.options) == {
        "alpha": 0.99, "sign": 1, "threshold": "normal", "reference": "untransformed", "aggregate": "none",
        "stratified": False,
    }  # fmt: skip
    assert dict(requests.check("ND").options) == {
        "per": "map", "normalize": False, "order": "random", "block_size": 8, "aggregate": "none",
        "aggregated": "before", "stratified": False,
    }  # fmt: skip
    assert requests.check("NV")["statistic"] == "std"


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("NV", "NV"),
        (" NV ", "NV"),
        ("NV[]", "NV"),
        ("NV[aggregate=none]", "NV"),
        ("NV[ aggregate = mean , order=before ]", "NV[aggregate=mean]"),
        ("NV[order=after,aggregate=mean]", "NV[aggregate=mean,order=after]"),
        ("Goodfellow[alpha=0.990]", "Goodfellow"),
        ("Goodfellow[sign=-1,alpha=.9]", "Goodfellow[alpha=0.9,sign=-1]"),
        ("ND[normalize=TRUE,per=map]", "ND[normalize=true]"),
        ("NDSE[per=map,normalize=true]", "NDSE[normalize=true]"),
        ("ND[per=map]", "ND"),
        ("ND[aggregate=mean,per=unit]", "ND[per=unit,aggregate=mean]"),
        ("ND[block_size=64,order=class]", "ND[order=class,block_size=64]"),
        ("SD[order=random,block_size=8]", "SD"),
        ("DSES[form=inverse]", "DSES"),
        ("Goodfellow[reference=all,alpha=.9]", "Goodfellow[alpha=0.9,reference=all]"),
        ("Goodfellow[alpha=0.9999999]", "Goodfellow[alpha=0.9999999]"),
    ],
)
def test_canonical_text(text, short):
    assert str(requests.check(text)) == short
    assert requests.check(short) == requests.check(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NW", r"unknown measure 'NW'; did you mean 'NV'\? allowed: ANOVA"),
        ("nv", "unknown measure 'nv'; did you mean 'NV'"),
        ("", "cannot read the measure ''; expected NAME or NAME\\[option=value"),
        ("NV[aggregate=mean", "cannot read the measure"),
        ("NV]", "cannot read the measure"),
        ("NV[[aggregate=mean]]", "cannot read the measure"),
        ("NV SV", "cannot read the measure"),
        (None, "cannot read the measure None"),
        ("NV[agregate=mean]", "unknown option of NV 'agregate'; did you mean 'aggregate'"),
        ("TV[order=after]", "unknown option of TV 'order'"),
        ("ANOVA_F[alpha=0.9]", "unknown option of ANOVA_F 'alpha'"),
        ("NV[aggregate]", "option 'aggregate' of NV has no value; expected aggregate=..."),
        ("NV[aggregate=median]", "unknown value of option aggregate of NV 'median'"),
        ("ANOVA[alpha=1]", "option alpha of ANOVA: '1' is not allowed; expected a number between 0 and 1"),
        ("ANOVA[alpha=0]", "ends excluded"),
        ("ANOVA[alpha=nan]", "'nan' is not allowed"),
        ("ANOVA[alpha=high]", "'high' is not allowed"),
        ("Goodfellow[sign=2]", "unknown value of option sign of Goodfellow '2'"),
        ("NV[aggregate=mean,aggregate=max]", "option 'aggregate' of NV is given twice; give it once"),
        ("NV[ aggregate=mean, order=after, aggregate = mean]", "option 'aggregate' of NV is given twice"),
        ("DSES[per=map]", "unknown option of DSES 'per'"),
        ("ND[per=activation]", "unknown value of option per of ND 'activation'; .*allowed: map, unit"),
        ("SD[block_size=6]", "unknown value of option block_size of SD '6'"),
        ("SD[order=after]", "unknown value of option order of SD 'after'.* allowed: class, random"),
        ("SD_error[order=class]", "unknown option of SD_error 'order'"),
        ("TV[form=forward]", "unknown option of TV 'form'"),
    ],
)
def test_errors(text, message):
    with pytest.raises(InputError, match=message):
        requests.check(text)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("NV", "NV of units"),
        ("NV[aggregate=mean,order=after]", "NV of maps (order=after)"),
        ("TVSE[aggregate=mean]", "TVSE of maps"),
        ("NDSE[normalize=true]", "NDSE of maps (normalize=true)"),
        ("ND[per=unit]", "ND of units"),
        ("ND[order=class,block_size=64]", "ND of maps (order=class, block_size=64)"),
        ("DSES[normalize=true]", "DSES of maps (normalize=true)"),
        ("ANOVA[alpha=0.9]", "ANOVA of units (alpha=0.9)"),
        ("SD_error", "SD_error of maps"),
        ("Goodfellow[stratified=true]", "Goodfellow of units (stratified=true)"),
    ],
)
def test_labels_say_of_what_a_measure_is(text, label):
    assert requests.label(text) == label


def test_each_request_is_kept_once_in_order():
    found = requests.check_all(["SV", "NV[aggregate=none]", "NV", "TV", "SV[statistic=std]"])
    assert [str(request) for request in found] == ["SV", "NV", "TV"]


def _value(values):
    default, *rest = values
    if rest and rest[0] == "between":
        return st.floats(*rest[1:], exclude_min=True, exclude_max=True, allow_subnormal=False)
    return st.sampled_from([default, *rest])


@st.composite
def any_request(draw):
    name = draw(st.sampled_from(requests.names()))
    options = {key: draw(_value(values)) for key, values in requests.allowed_options(name).items()}
    return requests.Measure(name, tuple(options.items()))


@given(any_request())
def test_canonical_text_means_the_request(request):
    assert requests.check(str(request)) == request
    assert str(requests.check(str(request))) == str(request)


def test_names_need_no_torch():
    program = """
import sys
from cnn_invariance.measures import requests
assert [str(requests.check(name)) for name in requests.names()] == requests.names()
try:
    requests.check("NVE")
except ValueError as error:
    assert "NVSE" in str(error)
heavy = {"torch", "scipy", "pandas"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
