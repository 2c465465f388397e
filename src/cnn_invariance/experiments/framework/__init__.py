"""What experiments are built from; see `experiment` for what an experiment is."""

from cnn_invariance.experiments.framework import choices
from cnn_invariance.experiments.framework.by_set import BySet
from cnn_invariance.experiments.framework.choice import Choice, Models, OneModel
from cnn_invariance.experiments.framework.claims import Claim, Finding, UntestableError
from cnn_invariance.experiments.framework.experiment import Experiment, Outputs, Overview
from cnn_invariance.experiments.framework.panels import (
    MeasuredPanel,
    Panel,
    ProfileClaim,
    apart,
    claimed,
    differences,
    same_profile,
)
from cnn_invariance.experiments.framework.profile_experiment import (
    ALIKE,
    DEPTH,
    STRIPS,
    ProfileExperiment,
    ProfilesOfModels,
)
from cnn_invariance.experiments.framework.profiles import Line, ProfilePlan, values
from cnn_invariance.experiments.framework.variants import VariantExperiment, changes
from cnn_invariance.paper import captions
from cnn_invariance.paper.sources import Source

__all__ = [
    "ALIKE", "DEPTH", "STRIPS", "BySet", "Choice", "Claim", "Experiment", "Finding", "Line", "MeasuredPanel",
    "Models", "OneModel", "Outputs", "Overview", "Panel", "ProfileClaim", "ProfileExperiment", "ProfilePlan",
    "ProfilesOfModels", "Source", "UntestableError", "VariantExperiment", "apart", "captions",
    "changes", "choices", "claimed", "differences", "same_profile", "values",
]  # fmt: skip
