"""A cell's numbers do not depend on the caches of the machine that computes it."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

import cnn_invariance as ci
from cnn_invariance import machine
from cnn_invariance.measures.engine import prepare
from cnn_invariance.transformations import rotation
from cnn_invariance.workflow import stages


class AskedError(Exception):
    """Somebody wants to know the caches."""


def asked():
    raise AskedError


def test_stages_do_not_look_at_the_caches(bars, tmp_path, monkeypatch):
    """Measured on a machine with the smallest of caches, whose rule would take one sample at once."""
    monkeypatch.setattr(machine, "cache_of_a_core", asked)
    with pytest.raises(AskedError):  # which a user's pass does
        ci.measure(torch.nn.Flatten().eval(), torch.rand(3, 1, 4, 4), rotation(n=3, angle_deg=90), ["NV"])
    elsewhere = replace(bars.plan.folders, results=tmp_path)
    for cell in [bars.plan.measurements[0], bars.plan.responses[0]]:
        job = bars.plan.job(cell)
        stages.STAGES[cell.stage](job, elsewhere, 1)
        kept, again = (
            pd.read_parquet(folders.cells(job.preset).path(cell)) for folders in (bars.plan.folders, elsewhere)
        )
        pd.testing.assert_frame_equal(kept, again, check_exact=True)


def test_the_rule_of_the_study_is_that_of_its_first_results():
    """A change of it would change the last digits of every cell."""
    assert (prepare.SLAB, prepare.SLAB * prepare.TORCH_SLABS) == (24 << 20, 72 << 20)
