"""What the measures of the network's output keep of it, tile by tile."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cnn_invariance.measures.engine.inputs import no_classes
from cnn_invariance.measures.families.output import of_output
from cnn_invariance.measures.requests import Measure


class OutputSums:
    """Sums over samples, for each transformation, of what `families.output` defines."""

    def __init__(self, asked: Sequence[Measure], M: int, reference: int) -> None:
        self.asked, self.M, self.reference = asked, M, reference
        self.sums = {name: torch.zeros(M, dtype=torch.float64) for name in ("same", "changed", "moved", "divergence")}
        self.samples = 0
        self.why = ""

    def add(self, scores: Tensor | None, samples: int) -> None:
        """The scores (M' b, K) of a tile, None where the output has none."""
        self.why = no_classes(scores)
        if self.why or scores is None:
            return
        log = F.log_softmax(scores.detach().double().view(-1, samples, scores.shape[1]), 2).cpu()  # (M', b, K)
        top = log.argmax(2)
        first, log, reference = top[self.reference], log[: self.M], log[self.reference]
        top, p = top[: self.M], log.exp()
        others = max(self.M - 1, 1)
        same = F.one_hot(top, log.shape[2]).sum(0).gather(1, top.T).T - 1  # (M, b): others with this answer
        at = first.expand(self.M, -1)[..., None]
        change = (p.gather(2, at) - reference.exp().gather(1, first[:, None])).abs()
        kl = torch.xlogy(p, p) - torch.xlogy(p, p.mean(0))
        self.sums["same"] += same.double().sum(1) / others
        self.sums["changed"] += (top != first).double().sum(1)
        self.sums["moved"] += change.sum((1, 2))
        self.sums["divergence"] += kl.sum((1, 2)).clamp(min=0)
        self.samples += samples

    def finish(self, network: dict[str, np.ndarray], reasons: dict[str, dict[str, str]]) -> None:
        """Enter the value of each measure, or why it has none."""
        places = {
            "Consistency": "same",
            "TopChange": "changed",
            "TopProbabilityChange": "moved",
            "OutputKL": "divergence",
        }
        for request in self.asked:
            if self.why:
                reasons.setdefault(str(request), {})["network"] = self.why
            else:
                network[str(request)] = of_output(request, self.sums[places[request.name]] / self.samples).numpy()
