"""What single feature maps respond to samples under transformations: pictures beside the numbers."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from cnn_invariance import activations
from cnn_invariance.errors import InputError
from cnn_invariance.measures.engine.inputs import placement
from cnn_invariance.statistics.responses import relative_variation
from cnn_invariance.transformations import AffineSet, TransformationSet, transform_all


class Ranked(NamedTuple):
    """A feature map of a layer, and the value that ranks it."""

    map: int
    value: float


Ends = Mapping[str, Sequence[Ranked]]
"""The maps of a layer at either end, by role: those of "most" from the lowest value up, of "least" from the highest
down."""


def ranked(maps: pd.DataFrame, count: int = 1) -> dict[str, Ends]:
    """Of each layer, the maps with the lowest and those with the highest finite values.

    maps:  rows of feature maps, with the columns ``layer``, ``map``, ``value``; a layer without two finite values that
           differ is left out: it has no order
    count: how many at either end; of a layer with fewer than twice as many, half of its maps

    >>> table = pd.DataFrame({"layer": ["a", "a", "b"], "map": [0, 1, 0], "value": [0.5, 0.2, 0.1]})
    >>> ranked(table)
    {'a': {'most': [Ranked(map=1, value=0.2)], 'least': [Ranked(map=0, value=0.5)]}}
    """
    found: dict[str, Ends] = {}
    for name, rows in maps.groupby("layer", sort=False):
        finite = rows[np.isfinite(rows["value"].to_numpy(dtype=float))].sort_values("value", kind="stable")
        order = [Ranked(int(row["map"]), float(row["value"])) for _, row in finite.iterrows()]
        if len(order) > 1 and order[0].value < order[-1].value:
            shown = min(count, len(order) // 2)
            found[str(name)] = {"most": order[:shown], "least": order[: -shown - 1 : -1]}
    return found


@torch.no_grad()
def respond(
    model: nn.Module,
    images: Tensor,
    transformations: TransformationSet,
    members: Sequence[int],
    maps: Mapping[str, Ends],
    *,
    pictures: bool = True,
) -> pd.DataFrame:
    """The responses of chosen maps to images (N, C, H, W), normalised, under some members of a set.

    maps:     as `ranked` gives them; of layers with feature maps, those that are named here are kept
    pictures: whether the responses themselves are given, or only how much those of each map and sample vary

    Returns:
        Rows as in `results.responses.SCHEMA`: first the images under each member, then the maps, in forward order.
        Without pictures, a row for each map and sample.

    Errors: InputError if no layer with feature maps is named.
    """
    device, _ = placement(model, None)
    shown = _moved(images.to(device), transformations, members)  # (members, N, C, H, W)
    seen: list[tuple[activations.Layer, Tensor]] = []

    def see(name: str, module: nn.Module, tensor: Tensor) -> None:
        seen.append((activations.Layer(len(seen) + 1, name, type(module).__name__, tuple(tensor.shape[1:])), tensor))

    flat = shown.flatten(0, 1)
    roles = activations.look(model, flat).roles
    with activations.observe(model, roles, len(flat), see):
        model(flat)
    kept = [(layer, tensor.unflatten(0, shown.shape[:2])) for layer, tensor in seen if layer.name in maps]
    kept = [(layer, tensor) for layer, tensor in kept if layer.spatial]
    if not kept:
        raise InputError("no layer with feature maps has two maps that differ in the measure: there are none to show")
    rows = [
        row
        for layer, tensor in kept
        for role, ends in maps[layer.name].items()
        for rank, chosen in enumerate(ends)
        for sample in range(len(images))
        for row in _rows(layer, (role, rank, chosen, sample), members, tensor[:, sample, chosen.map], pictures)
    ]
    if pictures:
        image = activations.Layer(0, "input", "Input", tuple(shown.shape[2:]))
        places = product(range(len(images)), range(shown.shape[2]))
        rows = [
            row
            for sample, c in places
            for row in _rows(image, ("input", 0, Ranked(c, np.nan), sample), members, shown[:, sample, c], True)
        ] + rows
    return pd.DataFrame(rows)


def _moved(images: Tensor, transformations: TransformationSet, members: Sequence[int]) -> Tensor:
    """(members, N, C, H, W)."""
    if isinstance(transformations, AffineSet):
        return transform_all(images, transformations.matrices[list(members)])
    return torch.stack([transformations[member](images) for member in members])


def _rows(
    layer: activations.Layer,
    place: tuple[str, int, Ranked, int],
    members: Sequence[int],
    responses: Tensor,
    pictures: bool,
) -> Iterator[dict[str, object]]:
    """A row for each member with its picture, or one row without, of the responses (members, H, W) of one map."""
    role, rank, chosen, sample = place
    values = responses.float().cpu().numpy()
    height, width = values.shape[1:]
    row = {
        "layer_index": layer.index,
        "layer": layer.name,
        "kind": layer.kind,
        "role": role,
        "rank": rank,
        "sample": sample,
        "map": chosen.map,
        "value": chosen.value,
        "variation": relative_variation(values.astype(np.float64)),
        "height": height,
        "width": width,
    }
    if not pictures:
        yield row | {"member": None, "response": None}
        return
    for member, picture in zip(members, values.astype(np.float16), strict=True):
        yield row | {"member": member, "response": picture.ravel()}
