"""The result of a training: its record, as JSON."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnn_invariance.results import integrity, kept
from cnn_invariance.results.integrity import DamagedResultError
from cnn_invariance.results.plausible import faults_of_shares, is_number
from cnn_invariance.storage import checksum
from cnn_invariance.storage.files import write_whole
from cnn_invariance.study import TrainSpec, canonical_json


@dataclass(frozen=True, eq=False)
class TrainingRecord:
    """The record of a training as it was read: history, accuracies and so on (see `training.train`)."""

    spec: TrainSpec
    record: dict[str, Any]
    provenance: dict[str, Any]

    @classmethod
    def read(cls, path: Path, spec: TrainSpec) -> "TrainingRecord":
        """Read the file of a training.

        Errors: DamagedResultError for a changed byte, another spec, or a file of another kind.
        """
        content = integrity.checked_bytes(path)
        try:
            document = dict(kept.loads(content, path))
            held = canonical_json(document["spec"])
            found = cls(spec, document["record"], document["provenance"])
            if not isinstance(found.record, dict) or not isinstance(found.provenance, dict):
                raise TypeError("expected mappings")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            if isinstance(error, DamagedResultError):
                raise
            raise DamagedResultError(path, "not a training record") from error
        integrity.check_version(path, found.provenance)
        integrity.check_spec(path, held, spec)
        kept.check(path, "provenance", found.provenance, kept.PROVENANCE)
        kept.check(path, "record", found.record, kept.RECORD)
        return found

    @classmethod
    def check(cls, path: Path, spec: TrainSpec) -> None:
        """Raise the errors of `read`."""
        cls.read(path, spec)

    @property
    def weights_sha256(self) -> Any:
        """The SHA-256 of the trained weights, as recorded."""
        return self.record.get("weights_sha256")

    def failure(self, floor: float) -> str | None:
        """Why the network is a failed run, whose accuracy is below the floor; None if it is none.

        The accuracy is that on the training samples that were evaluated, under the augmentation. An untrained network
        is never a failed run.
        """
        reached = (self.record.get("accuracies") or {}).get("train", {}).get("augmented")
        if not self.spec.recipe.epochs or not is_number(reached) or reached >= floor:
            return None
        return (
            f"{self.spec.key} is a failed run: its accuracy on training samples, under its augmentation, is "
            f"{reached:.4f}, below the floor of {floor:g}; its record and weights are kept: lower the accuracy floor "
            "in the preset and it is judged anew, or give the model more epochs or another learning rate"
        )

    def faults(self) -> Iterator[str]:
        """A message for each value that is missing, inconsistent with the spec, or not plausible."""
        record, epochs = self.record, self.spec.recipe.epochs
        accuracies = record.get("accuracies")
        splits = accuracies if isinstance(accuracies, dict) else {}
        if splits.keys() != {"train", "validation", "test"}:
            yield f"accuracies: expected those of train, validation and test; received {accuracies!r}"
        for split, kinds in splits.items():
            yield from faults_of_shares(f"accuracy, {split}", [value for value in kinds.values() if value is not None])
        history = record.get("history", [])
        if record.get("epochs") != epochs or len(history) != epochs:
            yield f"expected {epochs} epochs; received {record.get('epochs')!r}, with {len(history)} in history"
        if not all(is_number(epoch.get("loss"), -np.inf) for epoch in history):
            yield "history: a loss is missing or not finite"
        if not is_number(record.get("parameters"), 1):
            yield f"parameters: expected a count; received {record.get('parameters')!r}"


def write_training(path: Path, spec: TrainSpec, record: Mapping[str, Any], provenance: Mapping[str, Any]) -> None:
    """Write the record of a training, whole or not at all. Numbers in it must be finite (ValueError)."""
    document = {
        "spec": json.loads(spec.canonical),
        "record": dict(record),
        "provenance": dict(provenance),
        checksum.NAME: checksum.BLANK,
    }
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    write_whole(path, checksum.close(text.encode()))
