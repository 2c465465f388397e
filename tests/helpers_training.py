"""A small problem to train on, and specs for it."""

from pathlib import Path
from typing import Any

import numpy as np

from cnn_invariance.datasets import Dataset
from cnn_invariance.study import DatasetSpec, ModelSpec, Recipe, SetSpec, TrainSpec
from cnn_invariance.training import train

SIZE = 16


def problem(per_class: int = 40) -> Dataset:
    """Three classes of noisy images: a bar across, a bar down, a block. 60/20/20 % splits: 72 images to train on."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 100, (3 * per_class, 1, SIZE, SIZE), dtype=np.uint8)
    labels = np.arange(3 * per_class) % 3
    middle = slice(SIZE // 2 - 2, SIZE // 2 + 2)
    images[labels == 0, 0, middle, :] += 120
    images[labels == 1, 0, :, middle] += 120
    images[labels == 2, 0, middle, middle] += 120
    ends = (len(labels) * 6 // 10, len(labels) * 8 // 10)
    train, validation, test = np.split(np.arange(len(labels)), ends)
    splits = {"train": train, "validation": validation, "test": test}
    return Dataset.create("bars", images, labels, splits, ("across", "down", "block"))


def spec(
    data: Dataset,
    *,
    model: str = "SimpleConv",
    arguments: dict[str, Any] | None = None,
    augmentation: SetSpec | None = None,
    seed: int = 0,
    **recipe: Any,
) -> TrainSpec:
    """A training of a few steps of a small network."""
    arguments = {"width": 2, "dense": 8} if arguments is None else arguments
    settings = {"learning_rate": 5e-3, "epochs": 3, "batch_size": 16}
    return TrainSpec(
        dataset=DatasetSpec(name=data.name, fingerprint=data.fingerprint),
        model=ModelSpec(name=model, arguments=arguments),
        augmentation=augmentation,
        recipe=Recipe(**{**settings, **recipe}),
        seed=seed,
    )


ROTATION = SetSpec(name="rotation", parameters={"n": 5, "angle_deg": 180.0})

DROPOUT_AND_NORM = {
    "model": "VGG16D",
    "arguments": {"width": 2, "dense": 8, "batch_norm": True},
    "augmentation": ROTATION,
}


def run(spec: TrainSpec, data: Dataset, folder: Path, epochs: tuple[int, ...] | None = None) -> dict[str, Any]:
    """Train on one thread, with checkpoints ``e<epoch>.safetensors`` in a folder."""
    return train(
        spec,
        data,
        checkpoints=paths(folder, (spec.recipe.epochs,) if epochs is None else epochs),
        state=folder / "state.safetensors",
        device="cpu",
        threads=1,
    )


def paths(folder: Path, epochs: tuple[int, ...]) -> dict[int, Path]:
    """Where ``run`` puts the checkpoints."""
    return {epoch: folder / f"e{epoch}.safetensors" for epoch in epochs}


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    """The part of a record that must be the same each time."""
    history = [{k: v for k, v in entry.items() if k != "seconds"} for entry in record["history"]]
    rest = {k: v for k, v in record.items() if k not in ("history", "wall_s", "resumed_after")}
    return {"history": history, **rest}
