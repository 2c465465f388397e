"""What a pass gives: every measure of every unit of every layer, and accuracy per transformation."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cnn_invariance.activations import Layer
from cnn_invariance.errors import InputError, unknown_name
from cnn_invariance.measures.requests import KEPT_FOR_MAPS, QUOTIENTS, SHOWN, check, label, labels, level, undoes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from cnn_invariance.measures.nulls import Null
    from cnn_invariance.measures.uncertainty import Uncertainty
    from cnn_invariance.statistics.layouts import Layout

Values = Mapping[str, Sequence[np.ndarray | None]]
FEW = 4
"""A plot shows so many measures unless some are named: four panels are legible."""
QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}


@dataclass(frozen=True, eq=False, repr=False)
class MeasureResult:
    """The measures of one network on one ST matrix.

    Attributes:
        layers: the observed layers, in forward order.
        values: for each measure (as it was asked for) one float64 array a layer: (C, H, W) or (K,) per unit, or (C,)
            per feature map; None where the measure has no value on the layer (same-equivariance without maps).
        accuracy: (M,) share of samples classified rightly under each transformation; None where there is none, and
            ``no_accuracy`` says why.
        samples: N.
        transformations: the label of every member, M of them.
        dead: for each measure and layer, how many units have 0 / 0 (value 1 by definition); how many feature maps, for
            a quotient of maps.
        info: the settings of the pass (tile, block, precision, device).
        skipped: every module that ran and is no layer, and why.
        network: for each measure of the network as a whole (see ``requests.level``) its value, float64 (1), or (M) one
            for each transformation; such a measure has no value on any layer.
        reasons: for each measure the layers where it could not be computed, and why; "network" stands for the network.
        uncertainty: what the groups of samples say of the profiles; None where the pass had no ``uncertainty``.
        nulls: what shuffled pairs of samples gave; None where the pass had no ``null``.
    """

    layers: tuple[Layer, ...]
    values: Values
    accuracy: np.ndarray | None
    samples: int
    transformations: tuple[str, ...]
    dead: Mapping[str, Sequence[int]]
    info: Mapping[str, Any] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    network: Mapping[str, np.ndarray] = field(default_factory=dict)
    reasons: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    uncertainty: "Uncertainty | None" = None
    nulls: "Null | None" = None

    @property
    def measures(self) -> list[str]:
        """The measures, as they were asked for."""
        return list(self.values)

    @property
    def no_accuracy(self) -> str:
        """Why there is no accuracy: no labels, or an output without scores of classes; empty where there is one."""
        return str(self.info.get("no_accuracy", "")) if self.accuracy is None else ""

    @property
    def no_interval(self) -> Mapping[str, str]:
        """The measures without an interval over samples, and why; empty where no intervals were asked for."""
        return {} if self.uncertainty is None else self.uncertainty.no_interval

    @property
    def no_null(self) -> Mapping[str, str]:
        """The measures without a null, and why; empty where no nulls were asked for."""
        return {} if self.nulls is None else self.nulls.no_null

    def __repr__(self) -> str:
        size = f"{len(self.layers)} layers, {self.samples} samples x {len(self.transformations)} transformations"
        if self.nulls is not None:
            size += f", nulls of {self.nulls.shuffles} shuffles"
        return f"<MeasureResult of {size}: {', '.join(labels(self.measures).values())}>"

    def _repr_html_(self) -> str:
        """In a notebook: a small plot, and the profiles, a row a layer; a dash where a layer has no value."""
        table = self.profiles()
        table["layer"] = [f"{row.layer_index} {row.layer}" for row in table.itertuples()]
        wide = table.pivot(index=["layer_index", "layer", "kind", "shape"], columns="measure", values="value")
        wide = (
            wide[self.measures]
            .rename(columns=labels(self.measures))
            .reset_index()
            .drop(columns="layer_index")
            .rename_axis(columns=None)
        )
        values = wide.to_html(index=False, na_rep="–", float_format="{:.4g}".format)
        return f"<p>{escape(repr(self)[1:-1])}</p>{self._picture()}{values}"

    def _picture(self) -> str:
        """The plot as an image in HTML, whose text for those who do not see it names both ends; empty without values.

        SVG in an image of its own, because the ids of several drawings in one notebook would be mixed up.
        """
        drawn = [measure for measure in self._shown({}) if len(self.absent(measure)) < len(self.layers)]
        if not drawn:
            return ""
        picture, profile = io.BytesIO(), self.profile(drawn[0]).dropna(subset="value").sort_values("value")
        self.plot(drawn).savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
        said = f"Layer profiles: {', '.join(labels(drawn).values())}"
        if len(profile):
            ends = (f"{end['value']:.3g} in {end['layer']}" for end in (profile.iloc[0], profile.iloc[-1]))
            said += f"; {label(drawn[0])} from {' to '.join(ends)}"
        source = base64.b64encode(picture.getvalue()).decode()
        return f'<img alt="{escape(said)}" style="max-width: 100%" src="data:image/svg+xml;base64,{source}">'

    def __getitem__(self, measure: str) -> dict[str, np.ndarray]:
        """The values of one measure by layer name, without the layers where it has none."""
        pairs = zip(self.layers, self._of(measure), strict=True)
        return {layer.name: values for layer, values in pairs if values is not None}

    def profile(self, measure: str, *, layers: "Layout | None" = None) -> "pd.DataFrame":
        """The layer profile: the mean of a measure over the units of each layer, in forward order.

        Args:
            measure: one of this result, by its request (``NV[aggregate=mean]``) or its label (``NV of maps``). Its name
                alone (``NV``) will do where the result has no ``NV`` of units, and a single other form of it.
            layers: those of another library, such as ``models.author_layers("ResNet18")``; None: those observed.

        Returns:
            One row a layer where the measure has a value: ``layer_index``, ``layer``, ``kind``, ``value`` (the mean
            over finite units), ``units``, ``infinite``, ``dead``, ``nan`` (how many were infinite and not a number,
            which the mean leaves out; and 0 / 0, which it holds as 1), ``depth`` (of the layer among all layers, with
            or without the measure, in per cent: the first at 0, the last at 100). Measured with ``uncertainty``, also
            ``low`` and ``high``, the ends of a 95 % interval of the value over samples (``measures.uncertainty`` has
            the equations); missing where there is none. Measured with ``null``, also ``null``, the value of shuffled
            pairs, and ``null_error``, its standard error (`null`); missing where there is none.
        """
        from cnn_invariance.statistics.layouts import with_depth

        columns = ["layer_index", "layer", "kind", "value", "units", "infinite", "dead", "nan"]
        summary = self.summary(maps=())
        rows = summary[(summary["measure"] == str(self._name(measure))) & (summary["kind"] != OUTPUT)]
        profile = rows[columns].reset_index(drop=True)
        if self.uncertainty is not None:
            low, high = self.uncertainty.interval(self._name(measure), len(self.layers))
            at = profile["layer_index"].to_numpy(dtype=int) - 1
            profile = profile.assign(low=low[at], high=high[at])
        if self.nulls is not None:
            null, error = self.nulls.of(self._name(measure), len(self.layers))
            at = profile["layer_index"].to_numpy(dtype=int) - 1
            profile = profile.assign(null=null[at], null_error=error[at])
        names = [layer.name for layer in self.layers]
        return with_depth(profile, names) if layers is None else layers.lay(profile, names)

    def convergence(self, measure: str) -> "pd.DataFrame":
        """How the profile settles as the samples grow in number, of a pass with ``uncertainty``.

        The samples are nested, and in a random order: the first group of them, the first two, four, ..., all groups.

        Returns:
            One row a layer with a value and a number of samples: ``layer_index``, ``layer``, ``samples``, ``value``.

        Raises:
            InputError: the pass had no ``uncertainty``, or the measure has no intervals (`no_interval` says why).
        """
        import pandas as pd

        name = self._name(measure)
        if self.uncertainty is None:
            raise InputError("this result has no groups of samples; measure with uncertainty=True")
        if name in self.no_interval:
            raise InputError(f"{name} has no intervals: {self.no_interval[name]}")
        rows = [
            (layer.index, layer.name, n, value)
            for layer, values, nested in zip(self.layers, self._of(name), self.uncertainty.nested[name], strict=True)
            if values is not None
            for n, value in zip(self.uncertainty.numbers, nested, strict=True)
        ]
        return pd.DataFrame(rows, columns=["layer_index", "layer", "samples", "value"])

    def null(self, measure: str) -> "pd.DataFrame":
        """A measure beside its null, of a pass with ``null``: the value where f(t(x)) is paired with another sample.

        Returns:
            One row a layer with a value, or one row of a measure of the network: ``layer_index``, ``layer``, ``value``
            (as in ``profile``), ``null``, and ``null_error``, its standard error over shuffles (`measures.nulls`).

        Raises:
            InputError: the pass had no ``null``, or the measure has no null (`no_null` says why).
        """
        import pandas as pd

        name = self._name(measure)
        if self.nulls is None:
            raise InputError("this result has no shuffled pairs of samples; measure with null=True")
        if name in self.no_null:
            raise InputError(f"{name} has no null: {self.no_null[name]}")
        if name not in self.network:
            return self.profile(measure)[["layer_index", "layer", "value", "null", "null_error"]]
        from cnn_invariance.measures.nulls import mean_and_error

        row = (len(self.layers) + 1, OUTPUT, self.network[name].mean(), *mean_and_error(self.nulls.network[name]))
        return pd.DataFrame([row], columns=["layer_index", "layer", "value", "null", "null_error"])

    def absent(self, measure: str) -> dict[str, str]:
        """The layers where a measure has no value, in forward order, and why.

        Same-equivariance has none where a layer has no feature maps: tokens and units have no rows and columns on
        which a transformation could be undone.
        """
        pairs = zip(self.layers, self._of(measure), strict=True)
        known = self.reasons.get(self._name(measure), {})
        return {
            layer.name: known.get(layer.name) or _reason(layer, measure) for layer, values in pairs if values is None
        }

    def mixing(self) -> dict[str, str]:
        """The layers whose channels mix under the transformations, in forward order, and what tells it.

        It needs NVSE beside FittedResidual and CKA (or ``FittedResidual[centred=true]`` alone), and ChannelMatch to say
        whether channels are permuted; see `cnn_invariance.measures.mixing` for the rule.
        """
        from cnn_invariance.measures import mixing

        return mixing.found(self)

    def profiles(self) -> "pd.DataFrame":
        """The layer profiles of all measures, in long form: a row a layer and measure, absent values too.

        Columns: those of ``profile``; ``shape`` (of the layer, as 64 x 8 x 8); ``measure``; ``label``, the measure as
        figures name it, which says whether it has a value a unit or a map; ``absent``, the reason why
        the layer does not have the measure (its value and counts are missing then), else empty.
        """
        import pandas as pd

        frames, named = [], labels(self.measures)
        shapes = {layer.index: " x ".join(map(str, layer.shape)) for layer in self.layers}
        for measure in self.measures:
            reasons = self.absent(measure)
            head = pd.DataFrame(
                [(layer.index, layer.name, layer.kind, shapes[layer.index]) for layer in self.layers],
                columns=["layer_index", "layer", "kind", "shape"],
            )
            values = self.profile(measure).drop(columns=["layer", "kind"]).astype({"layer_index": "int64"})
            frame = head.merge(values, how="left", on="layer_index")
            frame.insert(4, "measure", measure)
            frame.insert(5, "label", named[measure])
            frames.append(frame.assign(absent=[reasons.get(name, "") for name in frame["layer"]]))
        return pd.concat(frames, ignore_index=True)

    def plot(
        self,
        measures: Sequence[str] | str | None = None,
        *,
        compare: "MeasureResult | Mapping[str, MeasureResult] | None" = None,
        label: str = "this network",
        axis: Literal["layer", "depth"] | None = None,
        log_y: bool = False,
    ) -> "Figure":
        """Draw layer profiles, a panel a measure, with the names and the kinds of the layers under each.

        The legend has the number of samples of each network; measures that are 1 where transformations matter as much
        as samples have a line there.

        Args:
            measures: those to draw; None: all that have a value on some layer, and that the other results have, too; of
                more than four, NV and NVSE of maps, ND and Goodfellow, or the first four if there is none of these.
            compare: the result of another network, or several by their names, in the same panels.
            label: what the network of this result is called.
            axis: layers by their number, or by relative depth in per cent; None: by depth where networks are compared
                that have other layers.
            log_y: a logarithmic axis of values.

        Returns:
            A figure, which a notebook shows, and ``savefig("profile.svg")`` keeps. A cross is a layer of which more
            than half of the units are dead; the sign of infinity on the top edge one with infinite units, left out of
            its mean.

        Raises:
            InputError: for a measure that a result does not have, or that no layer has, and for a name twice.

        >>> import torch, cnn_invariance as ci
        >>> network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten()).eval()
        >>> angles = ci.transformations.rotation(n=5, closed=False)
        >>> result = ci.measure(network, torch.rand(10, 1, 8, 8), angles, ["NV", "NVSE"])
        >>> [panel.get_title(loc="left") for panel in result.plot().axes]
        ['NV of units', 'NVSE of units']
        >>> [text.get_text() for text in result.plot("NV", compare=result).legends[0].get_texts()]
        ['this network (10 samples)', 'the other (10 samples)']
        """
        from cnn_invariance.plotting import Series, looks, profile_figure
        from cnn_invariance.plotting.profiles import line_handles
        from cnn_invariance.plotting.style import add_legend, style

        results = self._with(compare, label)
        chosen = [measures] if isinstance(measures, str) else self._shown(results) if measures is None else measures
        named = labels(map(self._name, chosen))
        several_sets = len({result.transformations for result in results.values()}) > 1
        lines = {
            name: [
                Series(_named(network, result, several_sets), [table], look)
                for (network, result), look in zip(results.items(), looks(len(results)), strict=True)
                if len(table := result.profile(measure))
            ]
            for measure, name in named.items()
        }
        shown = {name: series for name, series in lines.items() if series}
        if not shown or (measures is not None and len(shown) < len(lines)):
            nothing = next((measure for measure, name in named.items() if not lines[name]), "a measure")
            raise InputError(f"no layer of this network has {nothing}; choose among {', '.join(self.measures)}")
        designs = {tuple((layer.name, layer.kind) for layer in result.layers) for result in results.values()}
        title = next(iter(shown)) if len(shown) == 1 else "mean over the layer"
        figure = profile_figure(
            shown,
            ylabel=title,
            axis=axis or ("layer" if len(designs) == 1 else "depth"),
            log_y=log_y,
            share_y=len(shown) == 1,
            reference=1.0,
            referenced=[name for measure, name in named.items() if check(measure).name in QUOTIENTS],
        )
        if len(results) == 1:  # lines of several networks have a legend anyway
            with style():
                add_legend(figure, line_handles(next(iter(shown.values()))), "outside upper center")
        return figure

    def _with(
        self, compare: "MeasureResult | Mapping[str, MeasureResult] | None", label: str
    ) -> dict[str, "MeasureResult"]:
        """This result and those it is compared with, by their names."""
        others: dict[str, MeasureResult] = {}
        if isinstance(compare, MeasureResult):
            others = {"the other": compare}
        elif isinstance(compare, Mapping):
            others = dict(compare)
        elif compare is not None:
            raise InputError(
                f"'compare' is another result, or results by their names; received {type(compare).__name__}: "
                f'compare={{"trained": other}}'
            )
        for name, one in others.items():
            if not isinstance(name, str) or not isinstance(one, MeasureResult):
                raise InputError(
                    f"'compare' has results of ci.measure by their names; received {name!r}: {type(one).__name__}"
                )
        if label in others:
            raise InputError(f"two networks are called {label!r}; give this one another label")
        return {label: self, **others}

    def to_frame(self) -> "pd.DataFrame":
        """One row a unit: ``layer_index``, ``layer``, ``unit`` (C, H, W order), ``map``, a column a measure.

        A measure with one value a feature map repeats it for every unit of the map; a measure that has no value
        on a layer is NaN there.
        """
        import pandas as pd

        return pd.concat([self._frame(k, layer) for k, layer in enumerate(self.layers)], ignore_index=True)

    def _frame(self, k: int, layer: Layer) -> "pd.DataFrame":
        import pandas as pd

        unit = np.arange(layer.units, dtype=np.int32)
        per_map = layer.units // layer.maps
        frame = {
            "layer_index": np.int16(layer.index),
            "layer": layer.name,
            "unit": unit,
            "map": unit // per_map,
        }
        for measure, layers in self.values.items():
            values = layers[k]
            if values is None:
                frame[measure] = np.nan
            elif level(check(measure)) == "layer":
                frame[measure] = values.mean()
            else:
                frame[measure] = values.ravel() if values.size == layer.units else np.repeat(values, per_map)
        return pd.DataFrame(frame)

    def summary(self, maps: Sequence[str] = KEPT_FOR_MAPS) -> "pd.DataFrame":
        """What figures, tables and claims need, in long form: a row a (layer, measure), and a (layer, measure, map).

        Columns: ``layer_index`` (from 1), ``layer``, ``kind``, ``measure``, ``map`` (missing: the whole layer),
        ``value`` (layer: the profile; map: the mean over the map's finite units), ``q05`` to ``q95`` (quantiles over
        units, infinite ones included), ``units``, ``infinite``, ``dead``, ``nan``; the latter for layers only. Measures
        of the network have a row of the kind ``network output``, one number behind the last layer.

        Args:
            maps: the measures that get rows for feature maps, where they were asked for.
        """
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for measure, layers in self.values.items():
            for layer, values, dead in zip(self.layers, layers, self.dead[measure], strict=True):
                if values is None:
                    continue
                head = {
                    "layer_index": layer.index,
                    "layer": layer.name,
                    "kind": layer.kind,
                    "measure": measure,
                }
                rows.append(head | _layer_row(values, dead))
                if measure in maps:
                    rows += [head | {"map": k, "value": value} for k, value in enumerate(_map_means(values, layer))]
        head = {"layer_index": len(self.layers) + 1, "layer": OUTPUT, "kind": OUTPUT}
        rows += [head | {"measure": name} | _layer_row(value, 0) for name, value in self.network.items()]
        frame = pd.DataFrame(rows, columns=list(SUMMARY_TYPES))
        return frame.astype(SUMMARY_TYPES)

    def save(self, path: Path | str) -> None:
        """Write everything to a Parquet file, whole or not at all; `load` reads it."""
        from cnn_invariance.measures import result_file

        result_file.write(self, Path(path))

    @classmethod
    def load(cls, path: Path | str) -> "MeasureResult":
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing, is not such a file, or has a changed byte.
        """
        from cnn_invariance.measures import result_file

        return cls(**result_file.read(Path(path)))

    def _name(self, measure: str) -> str:
        """The measure as this result names it; its name without the file or its label will do, see `profile`.

        Errors: InputError for a measure that is not there, or that is there in several forms or from several files.
        """
        without_file = [name for name in self.values if name.rpartition(":")[2] == measure]
        labelled = [name for name in self.values if label(name) == measure]
        forms = [name for name in self.values if measure in (check(name).name, check(name).full_name)]
        alike = without_file or labelled or ([] if measure in self.values else forms)
        if len(alike) == 1:
            return alike[0]
        if len(alike) > 1:
            several = "files" if without_file else "forms"
            raise InputError(f"{measure!r} is a measure of several {several}; choose among {', '.join(alike)}")
        name = str(check(measure))
        if name not in self.values:
            raise unknown_name("measure of this result", measure, self.values)
        return name

    def _shown(self, results: "Mapping[str, MeasureResult]") -> list[str]:
        """The measures of a plot for which none is named: of those that all results have."""
        common = [one for one in self.measures if all(one in result.values for result in results.values())]
        if not common:
            raise InputError(f"the results have no measure in common; this one has {', '.join(self.measures)}")
        some = common if len(common) <= FEW else [one for one in SHOWN if one in common]
        return some or common[:FEW]

    def _of(self, measure: str) -> Sequence[np.ndarray | None]:
        return self.values[self._name(measure)]


OUTPUT = "network output"
"""The name and the kind of what is no layer: the output of the network, in tables."""

SUMMARY_TYPES = {
    "layer_index": "int16", "layer": "str", "kind": "str", "measure": "str", "map": "Int32", "value": "float64",
    **dict.fromkeys(QUANTILES, "float32"),
    "units": "Int32", "infinite": "Int32", "dead": "Int32", "nan": "Int32",
}  # fmt: skip


def _reason(layer: Layer, measure: str) -> str:
    """Why a layer does not have a measure."""
    if level(check(measure)) == "network":
        return "a measure of the network's output, not of layers: see ``network``"
    if undoes(check(measure)) and not layer.spatial:
        why = f" ({layer.why})" if layer.why else ""
        return f"{layer.form}, not feature maps: nothing to undo a transformation on{why}"
    return "the measure has no value on such a layer"


def _layer_row(values: np.ndarray, dead: int) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    nan = np.isnan(values)
    known = values[~nan]
    quantiles = (
        np.quantile(known, list(QUANTILES.values()), method="lower") if known.size else np.full(len(QUANTILES), np.nan)
    )
    return {
        "value": finite.mean() if finite.size else np.nan,
        **dict(zip(QUANTILES, quantiles, strict=True)),
        "units": values.size,
        "infinite": int(np.isinf(values).sum()),
        "dead": dead,
        "nan": int(nan.sum()),
    }


def _map_means(values: np.ndarray, layer: Layer) -> np.ndarray:
    """The mean over the finite units of each map; infinite where no unit is finite."""
    flat = values.reshape(layer.maps, -1)
    finite = np.isfinite(flat)
    total = np.where(finite, flat, 0).sum(1)
    count = finite.sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), flat[:, 0])


def _named(network: str, result: MeasureResult, several_sets: bool) -> str:
    """The label of a network's line, as it is: Matplotlib would set what stands between two "$" as mathematics."""
    given = [f"{result.samples:,} samples"]
    if several_sets:
        first, *_, last = result.transformations * 2
        given.append(f"{len(result.transformations)} transformations, {first} to {last}")
    return " ".join(f"{network} ({'; '.join(given)})".split()).replace("$", r"\$")
