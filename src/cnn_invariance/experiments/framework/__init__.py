"""What experiments are built from; see `experiment` for what an experiment is."""

from cnn_invariance.experiments.framework import captions, choices
from cnn_invariance.experiments.framework.claims import Claim, Finding
from cnn_invariance.experiments.framework.experiment import Experiment, Outputs
from cnn_invariance.experiments.framework.grid import GridExperiment, OneModelExperiment
from cnn_invariance.experiments.framework.profile_experiment import (
    FurtherTable,
    MeasuredPanel,
    Panel,
    ProfileExperiment,
    ProfilesOfModels,
    apart,
    claim,
    differences,
    measured,
)
from cnn_invariance.experiments.framework.profiles import Line, Lines, ProfilePlan, values
from cnn_invariance.statistics.intervals import CORRELATION, POSITIVE, over, unknown

__all__ = [
    "CORRELATION",
    "POSITIVE",
    "Claim",
    "Experiment",
    "Finding",
    "FurtherTable",
    "GridExperiment",
    "Line",
    "Lines",
    "MeasuredPanel",
    "OneModelExperiment",
    "Outputs",
    "Panel",
    "ProfileExperiment",
    "ProfilePlan",
    "ProfilesOfModels",
    "apart",
    "captions",
    "choices",
    "claim",
    "differences",
    "measured",
    "over",
    "unknown",
    "values",
]
