"""The measures on all networks with a known answer, and the verdicts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cnn_invariance.errors import InputError
from cnn_invariance.known_answers.cases import SAMPLES, Case, Elsewhere, Question, all_cases
from cnn_invariance.known_answers.verdicts import badness, judge
from cnn_invariance.measures import measure, requests
from cnn_invariance.transformations.affine import invert
from cnn_invariance.transformations.warp import transform_all

if TYPE_CHECKING:
    import pandas as pd

GENERATOR = "generator=?"
"""Stands for the generator of a case in the names below."""

MEASURES: Mapping[Question, tuple[str, ...]] = {
    "equivariance": (
        "NVSE[aggregate=mean]",
        "NDSE",
        "DSES",
        "Correlation",
        "ChannelMatch",
        "FittedResidual",
        "FittedResidual[centred=true]",
        "ProcrustesResidual",
        "CKA",
        "GEED",
        "GEED[metric=cosine]",
        "SEIS_equivariance",
        f"LieDerivative[{GENERATOR}]",
    ),
    "invariance": (
        "NV[aggregate=mean]",
        "ND",
        "ANOVA",
        "Goodfellow[alpha=0.9]",
        "GEED_invariance",
        "GEED_invariance[metric=cosine]",
        "SEIS_invariance",
    ),
    "output": ("Consistency", "TopChange", "TopProbabilityChange", "OutputKL", f"LEE[{GENERATOR}]"),
}

KERNEL = "kernel CKA, narrow"
"""Centred alignment of Gaussian kernels with a tenth of the median distance: no measure of this package, but a warning.
"""
BANDWIDTH = 0.1

Values = dict[str, float | None]


def measured(case: Case, network: torch.nn.Module, layer: str) -> Values:
    """The value of each measure on the layer, or on the output; None where there is none."""
    asked = [name.replace(GENERATOR, f"generator={case.generator}") for names in MEASURES.values() for name in names]
    names = [name for names in MEASURES.values() for name in names]
    result = measure(network, case.images, case.transformations, asked, layers=[layer], tile=SAMPLES)
    found: Values = {}
    for name, text in zip(names, asked, strict=True):
        request = str(requests.check(text))
        values = result.network.get(request, result.values[request][0])
        finite = None if values is None else values[np.isfinite(values)]
        found[name] = float(finite.mean()) if finite is not None and finite.size else None
    found[KERNEL] = kernel_alignment(case, network, layer)
    return found


def kernel_alignment(case: Case, network: torch.nn.Module, layer: str) -> float | None:
    """CKA of Gaussian kernels over samples, of a layer of feature maps and of the same undone; mean over the set."""
    kept: list[Tensor] = []
    hook = network.get_submodule(layer).register_forward_hook(lambda module, given, output: kept.append(output))
    with torch.no_grad():
        network(case.images)
        for one in transform_all(case.images, case.transformations.matrices):
            network(one)
    hook.remove()
    plain, *moved = kept
    if plain.ndim != 4:
        return None
    undo = invert(case.transformations.matrices, (plain.shape[2], plain.shape[3]))
    undone = [transform_all(maps, undo[j : j + 1])[0] for j, maps in enumerate(moved)]
    pairs = [(_kernel(plain), _kernel(maps)) for maps in undone]
    if any(one is None or other is None for one, other in pairs):
        return None
    return float(np.mean([_alignment(one, other) for one, other in pairs if one is not None and other is not None]))


def _kernel(maps: Tensor) -> Tensor | None:
    apart = torch.cdist(maps.flatten(1).double(), maps.flatten(1).double())
    middle = apart[apart > 0].median() if bool((apart > 0).any()) else None
    return None if middle is None else torch.exp(-(apart**2) / (2 * (BANDWIDTH * middle) ** 2))


def _alignment(one: Tensor, other: Tensor) -> float:
    one, other = (k - k.mean(0) - k.mean(1, keepdim=True) + k.mean() for k in (one, other))
    return float((one * other).sum() / (one.norm() * other.norm()))


def table() -> "pd.DataFrame":
    """A row for each network and measure.

    Columns: ``network``, ``question``, ``measure``, ``answer`` (what is known), ``value`` (missing: there is none),
    ``null`` (of the same network, answering for other images), ``share`` (r, see `verdicts`), ``verdict``.
    """
    import pandas as pd

    values: dict[str, tuple[Case, Values, Values]] = {}
    for case in all_cases():
        elsewhere = Elsewhere(case.network, case.images).eval()
        shuffled = case.answers.get("equivariance") == "unrelated"
        own = measured(case, case.network, case.layer)
        values[case.name] = (case, own, own if shuffled else measured(case, elsewhere, f"network.{case.layer}"))
    half = next(own for case, own, _ in values.values() if case.answers.get("equivariance") == "partly")
    rows = []
    for case, own, null_values in values.values():
        for question, answer in case.answers.items():
            names = (*MEASURES[question], KERNEL) if question == "equivariance" else MEASURES[question]
            for name in names:
                other = values[case.other] if case.other else None
                null = (other[2] if other else null_values)[name]
                beside = other[1][name] if other else half[name] if question == "equivariance" else None
                bad, of_null, of_other = (_bad(name, value) for value in (own[name], null, beside))
                judged = judge(answer, bad, of_null, of_other)
                rows.append(
                    {
                        "network": case.name,
                        "question": question,
                        "measure": name.replace(f"[{GENERATOR}]", ""),
                        "answer": answer if not case.other else f"as {case.other}",
                        "value": own[name],
                        "null": null,
                        "share": judged.share,
                        "verdict": judged.verdict,
                    }
                )
    if not rows:
        raise InputError("there is no network with a known answer")
    return pd.DataFrame(rows)


def _bad(name: str, value: float | None) -> float | None:
    if value is None:
        return None
    better = "higher" if name == KERNEL else requests.better(requests.check(name.replace(GENERATOR, "form=smooth")))
    return badness(value, better)
