"""What single feature maps respond to one sample under transformations: pictures beside the numbers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from cnn_invariance import activations
from cnn_invariance.errors import InputError
from cnn_invariance.measures.engine.inputs import placement
from cnn_invariance.transformations import AffineSet, TransformationSet, transform_all

ROLES = ("most", "least")


class Ranked(NamedTuple):
    """A feature map of a layer, and the value that ranks it."""

    map: int
    value: float


def ranked(maps: pd.DataFrame) -> dict[str, dict[str, Ranked]]:
    """Of each layer, the map with the lowest and the one with the highest finite value, by role.

    maps: rows of feature maps, with the columns ``layer``, ``map``, ``value``; a layer without two finite values that
        differ is left out: it has no order

    >>> table = pd.DataFrame({"layer": ["a", "a", "b"], "map": [0, 1, 0], "value": [0.5, 0.2, 0.1]})
    >>> ranked(table)
    {'a': {'most': Ranked(map=1, value=0.2), 'least': Ranked(map=0, value=0.5)}}
    """
    found = {}
    for name, rows in maps.groupby("layer", sort=False):
        finite = rows[np.isfinite(rows["value"].to_numpy(dtype=float))].sort_values("value", kind="stable")
        if len(finite) > 1 and finite["value"].iloc[0] < finite["value"].iloc[-1]:
            ends = (finite.iloc[0], finite.iloc[-1])
            found[str(name)] = {
                role: Ranked(int(row["map"]), float(row["value"])) for role, row in zip(ROLES, ends, strict=True)
            }
    return found


@torch.inference_mode()
def respond(
    model: nn.Module,
    image: Tensor,
    transformations: TransformationSet,
    members: Sequence[int],
    maps: Mapping[str, Mapping[str, Ranked]],
) -> pd.DataFrame:
    """The responses of chosen maps to one image (1, C, H, W), normalised, under some members of a set.

    maps: as `ranked` gives them; of layers with feature maps, those that are named here are kept

    Returns:
        Rows as in `results.responses.SCHEMA`: first the image under each member, then the maps, in forward order.

    Errors: InputError if no layer with feature maps is named.
    """
    device, _ = placement(model, None)
    shown = _moved(image.to(device), transformations, members)
    rows = [
        _row(activations.Layer(0, "input", "Input", tuple(shown.shape[1:])), "input", c, None, member, shown[k, c])
        for k, member in enumerate(members)
        for c in range(shown.shape[1])
    ]
    seen: list[tuple[activations.Layer, Tensor]] = []

    def see(name: str, module: nn.Module, tensor: Tensor) -> None:
        seen.append((activations.Layer(len(seen) + 1, name, type(module).__name__, tuple(tensor.shape[1:])), tensor))

    with activations.observe(model, activations.select(model), len(shown), see):
        model(shown)
    kept = [(layer, tensor) for layer, tensor in seen if layer.spatial and layer.name in maps]
    if not kept:
        raise InputError("no layer with feature maps has two maps that differ in the measure: there are none to show")
    rows += [
        _row(layer, role, chosen.map, chosen.value, member, tensor[k, chosen.map])
        for layer, tensor in kept
        for role, chosen in maps[layer.name].items()
        for k, member in enumerate(members)
    ]
    return pd.DataFrame(rows)


def _moved(image: Tensor, transformations: TransformationSet, members: Sequence[int]) -> Tensor:
    """(members, C, H, W)."""
    if isinstance(transformations, AffineSet):
        return transform_all(image, transformations.matrices[list(members)])[:, 0]
    return torch.cat([transformations[member](image) for member in members])


def _row(
    layer: activations.Layer, role: str, channel: int, value: float | None, member: int, response: Tensor
) -> dict[str, object]:
    height, width = response.shape
    rounded = response.float().cpu().numpy().astype(np.float16).astype(np.float32)
    return {
        "layer_index": layer.index,
        "layer": layer.name,
        "kind": layer.kind,
        "role": role,
        "map": channel,
        "value": value,
        "member": member,
        "height": height,
        "width": width,
        "response": rounded.ravel(),
    }
