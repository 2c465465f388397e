"""Any network of torchvision, by its name there."""

from typing import Any

import torchvision
from torch import nn

from cnn_invariance.errors import InputError, unknown_name

CHANNELS = 3


def build(input_shape: tuple[int, int, int], classes: int, *, model: str, **arguments: Any) -> nn.Module:
    """``torchvision.models.get_model(model, num_classes=classes, **arguments)``.

    Without pretrained weights unless ``weights`` is given. The output is whatever the network
    gives, usually logits (B, K), and the names of its layers are torchvision's own.

    Errors: InputError for an unknown name, for images that are not of 3 channels and for arguments
    that the network does not take.
    """
    allowed = torchvision.models.list_models(module=torchvision.models)
    if model not in allowed:
        raise unknown_name("torchvision model", model, allowed)
    if input_shape[0] != CHANNELS:
        raise InputError(
            f"torchvision:{model} takes images of {CHANNELS} channels, received {input_shape[0]}; "
            "use one of the package's own models, or name a function of yours that adapts it"
        )
    try:
        return torchvision.models.get_model(model, num_classes=classes, **arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"torchvision:{model} refuses {arguments}: {error}") from error
