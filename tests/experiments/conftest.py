from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.results import Results
from cnn_invariance.study import Study
from helpers_experiments import PRESET, Values, layer_values, write_results


@pytest.fixture
def preset() -> dict[str, Any]:
    """The content of a valid preset without experiments; a copy to change."""
    return yaml.safe_load(yaml.safe_dump(PRESET))


@pytest.fixture
def load(tmp_path: Path) -> Callable[[dict[str, Any]], Study]:
    """Write a preset's content to a file and load it."""

    def write_and_load(content: dict[str, Any]) -> Study:
        path = tmp_path / "preset.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return Programme.load(path)

    return write_and_load


@pytest.fixture
def computed(tmp_path: Path) -> Callable[..., Results]:
    """Write synthetic results for every cell that a study asks for, and no other; by `layer_values`, or other ones."""

    def write(study: Study, values: Values = layer_values) -> Results:
        return write_results(study, tmp_path / "results", values)

    return write
