"""The training of one network, from its spec to its record."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from cnn_invariance import devices
from cnn_invariance.errors import InputError
from cnn_invariance.training import checkpoint, tensorfile
from cnn_invariance.training import state as states
from cnn_invariance.training.errors import TrainingError
from cnn_invariance.training.learner import TRAINED_ON, Learner
from cnn_invariance.training.progress import Silent, reporter

if TYPE_CHECKING:
    from cnn_invariance.datasets import Dataset
    from cnn_invariance.study import TrainSpec


def train(
    spec: "TrainSpec",
    data: "Dataset",
    *,
    checkpoints: Mapping[int, Path],
    state: Path,
    weights: Path | None = None,
    device: str | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Train the network of a spec, write its checkpoints, and return its record.

    Each epoch sees every image of the recipe's ``images`` once, in a random order (or as many, drawn anew
    each time, as the recipe's ``epoch_samples`` says), but for a last batch that is not full, which is
    dropped unless it is the only one; each image is normalised and then under a transformation drawn uniformly from the
    augmentation. The optimiser is AdamW, the loss cross-entropy. The network may
    return log-probabilities or logits, because a second log-softmax changes nothing.

    checkpoints: epoch -> safetensors file to write; epoch 0 is the untrained network
    state:       file that keeps the unfinished run after each epoch. After an interruption the same call
                 continues from it, to the same final weights. It is removed at the end. The run starts
                 again, with a notice, if the state is damaged, belongs to another spec, or is past an
                 epoch whose checkpoint is missing.
    weights:     the safetensors file of the spec's pretrained weights, if it has any; a last layer for another number
                 of classes starts from random weights
    device:      "cpu", "cuda", ...; None: CUDA if available
    threads:     number of threads on the CPU; None: torch's default
    progress:    whether to show progress on standard error, as a bar on a terminal, else as a line per epoch

    The record holds: ``epochs``; ``history``, with the mean training loss, the accuracy on at most
    500 validation samples and the seconds of each epoch; ``accuracies`` of each split, "plain" and
    "augmented" (one transformation drawn for each sample), on ``samples`` of it (all, or a fixed
    stratified 10,000 of the test split and 5,000 of the others); ``classes``, their number; ``weights_sha256``;
    ``parameters``, their number; and the circumstances: ``device``, ``threads``, ``resumed_after``
    (epochs), ``wall_s``, ``peak_memory_bytes`` (of the GPU, else None). Nothing is selected by the
    validation accuracy. The same spec on the same machine with the same number of threads gives the
    same weights, to the byte.

    Precision "bf16" runs the forward pass of the training under autocast, not the evaluation; "fp32" is IEEE's, on
    CUDA too; "tf32" lets CUDA round the factors of products and convolutions. On CUDA, steps are captured as a graph.

    Errors: InputError if the dataset is not the spec's or has too few samples for an epoch, a checkpoint's epoch is
    not trained, the device is not available, the weights do not fit, the network has no parameters to train, or a
    function of the augmentation fails or changes the shape of the images. TrainingError if the loss or a weight is not
    finite after an epoch; then no checkpoint and no state is left. A network that learnt little is no error here: its
    record is judged by the floor of the preset, see `results.trainings`.
    """
    _check(spec, data, checkpoints)
    chosen = devices.choose(device)
    _check_precision(spec, chosen)
    tensor_cores = spec.recipe.precision == "tf32"
    precision = devices.at_precision("tf32" if tensor_cores else "fp32", chosen)
    with devices.repeatable(chosen, threads), precision, devices.memory_kept():
        try:
            return _Run(Learner(spec, data, chosen, weights), checkpoints, state).complete(progress)
        except TrainingError:
            for path in (state, *checkpoints.values()):
                path.unlink(missing_ok=True)
            raise


def _check(spec: "TrainSpec", data: "Dataset", checkpoints: Mapping[int, Path]) -> None:
    if data.fingerprint != spec.dataset.fingerprint:
        raise InputError(
            f"{spec.key} is trained on {spec.dataset.name} with fingerprint "
            f"{spec.dataset.fingerprint}; received {data.name} with {data.fingerprint}; prepare "
            "the dataset again, or pin the other fingerprint in the preset"
        )
    available = sum(len(data.indices(split)) for split in TRAINED_ON[spec.recipe.images])
    if (spec.recipe.epoch_samples or 0) > available:
        raise InputError(
            f"{spec.key}: an epoch takes {spec.recipe.epoch_samples} samples, and the training split of {data.name} "
            f"has {available}; lower 'epoch_samples' in the preset's 'training', or leave it out: then all are taken"
        )
    untrained = [epoch for epoch in checkpoints if not 0 <= epoch <= spec.recipe.epochs]
    if untrained:
        raise InputError(
            f"a checkpoint at epoch {untrained[0]} of {spec.key} was asked for; allowed: 0 to "
            f"{spec.recipe.epochs}, the epochs of its recipe"
        )


def _check_precision(spec: "TrainSpec", device: torch.device) -> None:
    if spec.recipe.precision == "tf32" and device.type != "cuda":
        raise InputError(
            f"{spec.key} is trained with precision tf32, which only CUDA devices have, and this training runs on "
            f"{device}; run it where there is a GPU, or give the preset's 'training' precision fp32"
        )


class _Run:
    """A training from its first or its next epoch to its record, with the files that it writes."""

    def __init__(self, learner: Learner, checkpoints: Mapping[int, Path], state: Path) -> None:
        self.learner, self.spec, self.recipe = learner, learner.spec, learner.recipe
        self.checkpoints, self.state = checkpoints, state
        self.epoch = 0
        self.history: list[dict[str, Any]] = []
        self.resumed_after: list[int] = []

    def complete(self, progress: bool) -> dict[str, Any]:
        """Run the remaining epochs, evaluate, write the last checkpoint and remove the state."""
        started = time.perf_counter()
        notice = self.resume()
        earlier = sum(entry["seconds"] for entry in self.history)
        with reporter(
            show=progress,
            title=self.spec.title,
            done=self.epoch * self.learner.steps,
            total=self.recipe.epochs * self.learner.steps,
        ) as report:
            for line in filter(None, (notice, self.learner.started_from)):
                report.note(line)
            if self.epoch == 0:
                self.write_checkpoint()
            while self.epoch < self.recipe.epochs:
                self.next_epoch(report)
        accuracies, samples = self.learner.evaluate()
        self.write_checkpoint(final=True)
        self.state.unlink(missing_ok=True)
        return {
            "epochs": self.epoch,
            "history": self.history,
            "accuracies": accuracies,
            "samples": samples,
            "classes": len(self.learner.data.classes),
            "weights_sha256": tensorfile.digest(self.learner.model.state_dict()),
            "parameters": sum(weights.numel() for weights in self.learner.model.parameters()),
            "device": str(self.learner.device),
            "threads": torch.get_num_threads(),
            "resumed_after": self.resumed_after,
            "wall_s": round(earlier + time.perf_counter() - started, 3),
            "peak_memory_bytes": devices.peak_memory(self.learner.device),
        }

    def resume(self) -> str | None:
        """Continue from the state if it is usable. Returns a notice for the reader; None if there is no state."""
        if not self.state.exists():
            return None
        try:
            kept = states.read(self.state, self.spec)
            self.check_checkpoints(kept.epoch)
            states.restore(kept, self.learner.model, self.learner.optimiser)
        except states.UnusableStateError as error:
            self.learner.reset()
            return f"starting again from epoch 0: {error}"
        self.epoch, self.history = kept.epoch, kept.history
        self.resumed_after = [*kept.resumed_after, kept.epoch]
        return f"resuming after epoch {self.epoch} of {self.recipe.epochs}"

    def check_checkpoints(self, done: int) -> None:
        """Raise UnusableStateError if the state is past an epoch whose checkpoint is missing."""
        for epoch, path in self.checkpoints.items():
            due = epoch <= done and epoch < self.recipe.epochs
            if due and not checkpoint.is_checkpoint(path, self.spec, epoch):
                raise states.UnusableStateError(
                    f"{path}, the checkpoint of epoch {epoch}, is missing, damaged or of another network"
                )

    def next_epoch(self, report: Silent) -> None:
        """Run one epoch, then write its checkpoint and after it the state.

        In this order, so that an interruption between the two repeats an epoch and never loses a checkpoint.
        """
        started = time.perf_counter()
        self.epoch += 1
        loss = self.learner.run_epoch(self.epoch, report.step)
        validation = self.learner.validate()
        seconds = round(time.perf_counter() - started, 3)
        self.history.append(
            {
                "epoch": self.epoch,
                "loss": loss,
                "validation_accuracy": validation,
                "seconds": seconds,
            }
        )
        self.write_checkpoint()
        states.write(
            self.state,
            self.spec,
            self.learner.model,
            self.learner.optimiser,
            epoch=self.epoch,
            history=self.history,
            resumed_after=self.resumed_after,
        )
        report.epoch(
            f"epoch {self.epoch}/{self.recipe.epochs} loss {loss:.3f} validation "
            f"{'-' if validation is None else f'{validation:.3f}'} {seconds:.1f} s"
        )

    def write_checkpoint(self, *, final: bool = False) -> None:
        """Write the checkpoint of this epoch if it is wanted; that of the last epoch only after the evaluation."""
        path = self.checkpoints.get(self.epoch)
        if path is not None and final == (self.epoch == self.recipe.epochs):
            data = self.learner.data
            checkpoint.write(
                path,
                self.learner.model,
                self.spec,
                epoch=self.epoch,
                input_shape=data.input_shape,
                classes=len(data.classes),
            )
