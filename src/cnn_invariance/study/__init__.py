"""The study: presets, the specs of their cells, and what is left to compute. No torch."""

from cnn_invariance.study.experiment import Outputs
from cnn_invariance.study.spec import (
    MEASURE_REVISION,
    TRAIN_REVISION,
    Cell,
    Closed,
    DatasetSpec,
    MeasureSpec,
    ModelSpec,
    Recipe,
    ResponseSpec,
    SampleSpec,
    SetSpec,
    Spec,
    TrainSpec,
)
from cnn_invariance.study.study import Study

__all__ = [
    "MEASURE_REVISION",
    "TRAIN_REVISION",
    "Cell",
    "Closed",
    "DatasetSpec",
    "MeasureSpec",
    "ModelSpec",
    "Outputs",
    "Recipe",
    "ResponseSpec",
    "SampleSpec",
    "SetSpec",
    "Spec",
    "Study",
    "TrainSpec",
]
