"""The networks of torchvision, by their names in torchvision."""

from typing import Any

import torchvision
from torch import nn

from cnn_invariance.errors import InputError, unknown_name

CHANNELS = 3


def build(input_shape: tuple[int, int, int], classes: int, *, model: str, **arguments: Any) -> nn.Module:
    """``torchvision.models.get_model(model, num_classes=classes, **arguments)``.

    Without pretrained weights unless ``weights`` is given. The output is whatever the network
    gives, usually logits (B, K), and the names of its layers are torchvision's own.

    Errors: InputError if the name is unknown, the images do not have 3 channels, or the network does not
    accept the arguments.
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
