"""Accuracy of a network on samples, untransformed or each under a transformation drawn for it."""

import torch
from torch import Tensor, nn

from cnn_invariance.training.batches import Augmentation, DeviceSamples, batches

BATCH = 256  # small enough for the activations to stay in a processor's cache


@torch.no_grad()
def accuracy(
    model: nn.Module,
    samples: DeviceSamples,
    *,
    augmentation: Augmentation | None = None,
    members: Tensor | None = None,
) -> float | None:
    """The share of samples whose class has the highest output; None if there are no samples.

    Sets the network to evaluation mode. Waits for the device once, at the end.
    """
    if len(samples) == 0:
        return None
    model.eval()
    correct = torch.zeros((), dtype=torch.int64, device=samples.device)
    for images, labels in batches(samples, BATCH, augmentation=augmentation, members=members):
        correct += (model(images).argmax(dim=1) == labels).sum()
    return correct.item() / len(samples)
