"""The networks of timm, by their names in timm, if it is installed."""

from typing import Any

from torch import nn

from cnn_invariance.errors import InputError, unknown_name


def build(input_shape: tuple[int, int, int], classes: int, *, model: str, **arguments: Any) -> nn.Module:
    """``timm.create_model(model, num_classes=classes, in_chans=C, **arguments)``, without pretrained weights.

    The output is logits (B, K), and the names of its layers are timm's own. Networks of a fixed size of image
    (vision transformers) take it as ``img_size``.

    Errors: InputError if timm is not installed, the name is unknown, or the network does not accept the arguments.
    """
    try:
        import timm
    except ImportError as error:
        raise InputError(
            f"timm:{model} needs the package timm, which cannot be imported ({error}); install it: pip install timm"
        ) from error
    if not timm.is_model(model):
        raise unknown_name("timm model", model, timm.list_models())
    try:
        return timm.create_model(model, pretrained=False, num_classes=classes, in_chans=input_shape[0], **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"timm:{model} refuses {arguments}: {error}") from error
