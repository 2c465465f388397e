"""Finding an experiment by its file: what it must define."""

import sys

import pytest

from cnn_invariance import experiments
from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import registry

LACKS = """
from cnn_invariance.experiments.framework.experiment import Experiment


class Half(Experiment):
    question = "Is half of an experiment one?"
    group = "validation"

    def cells(self, study):
        return []
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [(LACKS, r"Half does not define draw, outputs; define"), ("x = 1\n", r"expected one class .* found 0")],
)
def test_an_unfinished_experiment_is_an_error_that_names_what_is_missing(text, message, tmp_path, monkeypatch):
    (tmp_path / "half_of_one.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(tmp_path)])
    monkeypatch.setattr(registry, "names", lambda: ("half_of_one",))
    monkeypatch.delitem(sys.modules, "cnn_invariance.experiments.half_of_one", raising=False)
    with pytest.raises(InputError, match=message):
        registry.load("half_of_one")
    sys.modules.pop("cnn_invariance.experiments.half_of_one", None)
