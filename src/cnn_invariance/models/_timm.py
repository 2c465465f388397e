"""The networks of timm, by their names in timm, if it is installed."""

from typing import Any

from torch import nn

from cnn_invariance.errors import InputError, unknown_name

LOADING = {
    "checkpoint_path",
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "pretrained_strict",
    "cache_dir",
}
"""Arguments of timm that read weights, some from files that run code when they are read, or from the internet."""


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
    if loading := sorted(LOADING & arguments.keys()):
        raise InputError(
            f"timm:{model} takes no argument {loading[0]!r} here, which reads weights; give a safetensors file as "
            "'weights' next to 'model'"
        )
    if not timm.is_model(model):
        raise unknown_name("timm model", model, timm.list_models())
    try:
        return timm.create_model(model, pretrained=False, num_classes=classes, in_chans=input_shape[0], **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"timm:{model} refuses {arguments}: {error}") from error
