"""Layouts: the layers that another library observes of a network of ours, so that profiles lie point on point.

Libraries differ in what they call a layer: one counts a shortcut that hands on its input, or the flattening of maps,
another does not. Such a layer computes nothing, and has the values of the layer whose output it hands on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from cnn_invariance.errors import InputError
from cnn_invariance.statistics.profiles import relative_depth

if TYPE_CHECKING:
    import pandas as pd


class HandedOn(NamedTuple):
    """A layer that ours lack: the layer of ours that it stands before, the one whose output it hands on, its kind."""

    before: str
    of: str
    kind: str


@dataclass(frozen=True)
class Layout:
    """How the layers of another library lie on the observed layers of a network.

    network:   the network's name, for messages
    handed_on: by its name, each layer that ours lack
    left_out:  the layers of ours that the other library does not observe
    """

    network: str
    handed_on: Mapping[str, HandedOn]
    left_out: frozenset[str] = frozenset()

    def places(self, observed: Sequence[str]) -> list[tuple[str, str]]:
        """The layers of the other library, in its order: the name of each, and the layer of ours with its values.

        observed: the names of all our layers, in forward order

        >>> layout = Layout("net", {"flatten": HandedOn("dense", "mean", "Flatten")}, frozenset(["pool"]))
        >>> layout.places(["conv", "pool", "mean", "dense"])
        [('conv', 'conv'), ('mean', 'mean'), ('flatten', 'mean'), ('dense', 'dense')]

        Errors: InputError if the layers are not all those of the network.
        """
        needed = dict.fromkeys(name for one in self.handed_on.values() for name in (one.before, one.of))
        missing = [name for name in (*needed, *sorted(self.left_out)) if name not in observed]
        if missing:
            raise InputError(
                f"these are not all layers of {self.network}: there is no {missing[0]!r} among {len(observed)}; "
                "expected a result of all its layers, measured without a filter of layers"
            )
        return list(self._places(observed))

    def lay(self, profile: "pd.DataFrame", observed: Sequence[str]) -> "pd.DataFrame":
        """A layer profile on the layers of the other library: rows in its order, ``layer_index`` its numbers from 1.

        A layer that is handed on has the row of its source, with its own name and kind. Layers without a value in the
        profile have none here either, and keep their numbers.

        Errors: those of `places`.
        """
        rows = {name: row for row, name in enumerate(profile["layer"])}
        places = [(number, *place) for number, place in enumerate(self.places(observed), 1) if place[1] in rows]
        laid = profile.iloc[[rows[source] for _, _, source in places]].reset_index(drop=True)
        kinds = [
            self.handed_on[name].kind if name in self.handed_on else kind
            for (_, name, _), kind in zip(places, laid["kind"], strict=True)
        ]
        laid["layer_index"] = [number for number, _, _ in places]
        laid["layer"], laid["kind"] = [name for _, name, _ in places], kinds
        return with_depth(laid.astype(profile.dtypes), self.places(observed))

    def _places(self, observed: Sequence[str]) -> Iterator[tuple[str, str]]:
        for ours in observed:
            yield from ((name, one.of) for name, one in self.handed_on.items() if one.before == ours)
            if ours not in self.left_out:
                yield ours, ours


def with_depth(profile: "pd.DataFrame", observed: Sequence[object]) -> "pd.DataFrame":
    """A layer profile with ``depth``, that of each layer in per cent of all observed layers."""
    return profile.assign(depth=relative_depth(profile["layer_index"], len(observed)))
