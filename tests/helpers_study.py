"""Specs to start from: each field can be changed."""

from types import SimpleNamespace
from typing import Any

from cnn_invariance.study import (
    DatasetSpec,
    MeasureSpec,
    ModelSpec,
    Recipe,
    SampleSpec,
    SetSpec,
    TrainSpec,
)
from cnn_invariance.verification.sampling import SAMPLING_OPTIONS
from cnn_invariance.workflow.run import Run

TINY = """\
name: tiny
description: A study.
datasets: {mnist5k: {fingerprint: 431ccb07ecd1af0274b77e08cda92d8c7c33d4feec3c76007dfacee4ea4406aa, accuracy_floor: 0}}
models: {SimpleConv: {arguments: {width: 4}, learning_rate: 1e-3, epochs: 2}}
transformation_sets: {rotation: {parameters: {n: 3, closed: false}}}
training: {epoch_samples: 100}
seeds: [0, 1]
samples: {count: 50}
measures: ["NV[aggregate=mean]"]
experiments: {compare_models: {}}
"""
"""A preset of one network under one set, to be planned."""


def started(*presets: Any, main: bool = True, **options: Any) -> Run:
    """The run that Snakemake starts with these ``--configfile`` and ``--config``, or a job that it submitted."""
    settings = SimpleNamespace(configfiles=presets, config=options)
    resources = SimpleNamespace(default_resources=None)
    workflow = SimpleNamespace(config_settings=settings, is_main_process=main, resource_settings=resources)
    return Run.of(workflow, SAMPLING_OPTIONS)


def network(**changes: Any) -> TrainSpec:
    """An augmented SimpleConv."""
    settings = {
        "dataset": DatasetSpec(name="mnist5k", fingerprint="0" * 64),
        "model": ModelSpec(name="SimpleConv", arguments={"width": 8, "batch_norm": False}),
        "augmentation": SetSpec(name="rotation", parameters={"n": 9, "angle_deg": 360}),
        "recipe": Recipe(learning_rate=5e-4, epochs=15),
        "seed": 0,
    }
    return TrainSpec(**(settings | changes))


def cell(**changes: Any) -> MeasureSpec:
    """It, measured under another set."""
    settings = {
        "network": network(),
        "epoch": 15,
        "transformations": SetSpec(name="scale", parameters={"n": 2}),
        "samples": SampleSpec(count=200),
        "measures": ("TV", "SV", "NV"),
    }
    return MeasureSpec(**(settings | changes))
