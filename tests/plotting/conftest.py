from collections.abc import Callable

import pandas as pd
import pytest

from helpers_plotting import DESIGNS, map_table, profile_table


@pytest.fixture
def designs() -> dict[str, list[str]]:
    return DESIGNS


@pytest.fixture
def profile() -> Callable[..., pd.DataFrame]:
    return profile_table


@pytest.fixture
def maps() -> Callable[..., pd.DataFrame]:
    return map_table
