"""A network in training: its samples, its optimiser, and the steps of an epoch."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW

from cnn_invariance import models
from cnn_invariance.training import batches, seeds
from cnn_invariance.training.captured import Captured
from cnn_invariance.training.errors import TrainingError
from cnn_invariance.training.evaluation import accuracy

if TYPE_CHECKING:
    from cnn_invariance.datasets import Dataset
    from cnn_invariance.study import TrainSpec

EVALUATED = {"train": 5_000, "validation": 5_000, "test": 10_000}  # samples of each split, at most, at the end
VALIDATED = 500  # samples of the validation split, at most, after each epoch
TRAINED_ON = {"train": ("train",), "all": ("train", "validation")}  # the splits, by the recipe's ``images``

Accuracies = dict[str, dict[str, float | None]]


class Learner:
    """The network of a spec, its optimiser and the samples it learns from, on a device."""

    def __init__(self, spec: "TrainSpec", data: "Dataset", device: torch.device, weights: Path | None = None) -> None:
        """Build an untrained network, or one with pretrained weights."""
        self.spec, self.recipe = spec, spec.recipe
        self.data, self.device, self.weights = data, device, weights
        self.started_from = ""
        self.samples = batches.load(data, TRAINED_ON[spec.recipe.images], None, device)
        self.validation = batches.load(data, ("validation",), VALIDATED, device)
        self.augmentation = (
            None if spec.augmentation is None else batches.Augmentation(spec.augmentation.build(), device)
        )
        if self.augmentation is not None:
            self.augmentation.check(self.samples)
        self.reset()

    def reset(self) -> None:
        """Start anew from an untrained network or pretrained weights. Random weights: see `seeds.InitialWeights`."""
        with seeds.InitialWeights(self.spec.seed):
            model = models.build(
                self.spec.model.name,
                self.data.input_shape,
                len(self.data.classes),
                **self.spec.model.arguments,
            )
        if self.weights is not None:
            kept = models.load_weights(model, self.weights)
            self.started_from = f"weights of {self.weights}" + (f"; new: {', '.join(kept)}" if kept else "")
        if self.recipe.epochs:
            models.check_trainable(self.spec.model.name, model)
        self.model = model.to(self.device).to(memory_format=torch.channels_last)
        self.optimiser = AdamW(
            [*self.model.parameters()]
            or [nn.Parameter(torch.zeros(1, device=self.device))],  # AdamW needs at least one parameter
            lr=self.recipe.learning_rate,
            weight_decay=self.recipe.weight_decay,
            fused=self.device.type in ("cpu", "cuda"),
            capturable=self.device.type == "cuda",
        )
        pays = self.device.type == "cuda" and (self.augmentation is None or self.augmentation.on_device)
        self._run_step = Captured(self.step, self.device) if pays else self.step

    @property
    def steps(self) -> int:
        """The number of batches in an epoch; a last one that is not full is dropped, as in the author's code."""
        return self.epoch_samples // self.batch_size

    @property
    def batch_size(self) -> int:
        """The number of samples in a batch: the recipe's, or all samples of an epoch that has fewer."""
        return min(self.recipe.batch_size, self.epoch_samples)

    @property
    def epoch_samples(self) -> int:
        """The number of samples in an epoch."""
        return self.recipe.epoch_samples or len(self.samples)

    def run_epoch(self, epoch: int, on_step: Callable[[], None]) -> float:
        """Train on the samples of an epoch, each at most once; return the mean loss.

        ``epoch`` counts from 1. With the seed it determines the order of the samples, the transformation of each place
        in that order, and the units that dropout leaves out.

        Errors: TrainingError if the loss or a weight is not finite at the end of the epoch. This is checked once
        per epoch, because a check makes the processor wait for the device.
        """
        size, count = self.batch_size, self.steps * self.batch_size
        order = torch.randperm(len(self.samples), generator=self._generator(f"order {epoch}"))[:count]
        members = self._draw(len(self.samples), f"augmentation {epoch}", count)
        prepared = None if members is None or self.augmentation is None else self.augmentation.prepare(members)
        torch.manual_seed(seeds.derive(self.spec.seed, f"dropout {epoch}"))
        total = torch.zeros((), device=self.device)
        self.model.train()
        order = order.to(self.device)
        for start in range(0, count, size):
            taken = slice(start, start + size)
            total += self._run_step(order[taken], None if prepared is None else prepared[taken])
            on_step()
        mean = total.item() / self.steps
        self._check_finite(epoch, mean)
        return mean

    def step(self, taken: Tensor, prepared: Tensor | None) -> Tensor:
        """One step of the optimiser on some samples; returns their mean loss."""
        images, labels = batches.batch(self.samples, taken, self.augmentation, prepared)
        half = self.recipe.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            output = self.model(images)
        loss = F.cross_entropy(output.float(), labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def _generator(self, purpose: str) -> torch.Generator:
        return seeds.generator(self.spec.seed, purpose)

    def _draw(self, available: int, purpose: str, count: int) -> Tensor | None:
        """The members of the augmentation for the first ``count`` of the ``available`` places: others move none."""
        if self.augmentation is None:
            return None
        return self.augmentation.draw(available, self._generator(purpose))[:count]

    def _check_finite(self, epoch: int, loss: float) -> None:
        finite = torch.stack([weights.isfinite().all() for weights in self.model.parameters()])
        weights_are = bool(finite.all())
        if not weights_are or not abs(loss) < float("inf"):
            raise TrainingError(
                f"{self.spec.key}: after epoch {epoch} of {self.recipe.epochs} the mean loss is "
                f"{loss} and the weights are {'finite' if weights_are else 'not finite'}; lower "
                f"the learning rate ({self.recipe.learning_rate:g}) of this model in the preset"
            )

    def validate(self) -> float | None:
        """The accuracy on the validation samples, untransformed."""
        return accuracy(self.model, self.validation)

    def evaluate(self) -> tuple[Accuracies, dict[str, int]]:
        """The accuracies of each split, plain and augmented, and the number of samples of each."""
        accuracies: Accuracies = {}
        counts = {}
        for split, count in EVALUATED.items():
            samples = batches.load(self.data, (split,), count, self.device)
            members = self._draw(len(samples), f"evaluation on {split}", len(samples))
            plain = accuracy(self.model, samples)
            augmented = (
                plain
                if members is None
                else accuracy(self.model, samples, augmentation=self.augmentation, members=members)
            )
            accuracies[split] = {"plain": plain, "augmented": augmented}
            counts[split] = len(samples)
        return accuracies, counts
