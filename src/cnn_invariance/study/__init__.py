"""The study: presets, and the specs of the cells that they stand for. It reads no results and imports no torch."""

from cnn_invariance.study.canonical import Closed, Spec, canonical_json
from cnn_invariance.study.cells import (
    KINDS,
    MEASURE_REVISION,
    RESPONSE_REVISION,
    TRAIN_REVISION,
    Cell,
    MeasureSpec,
    ResponseSpec,
    TrainSpec,
)
from cnn_invariance.study.spec import DatasetSpec, ModelSpec, Precision, Recipe, SampleSpec, Scalar, SetSpec
from cnn_invariance.study.study import Study

__all__ = [
    "KINDS",
    "MEASURE_REVISION",
    "RESPONSE_REVISION",
    "TRAIN_REVISION",
    "Cell",
    "Closed",
    "DatasetSpec",
    "MeasureSpec",
    "ModelSpec",
    "Precision",
    "Recipe",
    "ResponseSpec",
    "SampleSpec",
    "Scalar",
    "SetSpec",
    "Spec",
    "Study",
    "TrainSpec",
    "canonical_json",
]
