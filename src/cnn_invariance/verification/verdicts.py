"""The table and the figure of a verification."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn_invariance.errors import InputError
from cnn_invariance.storage.files import write_whole
from cnn_invariance.verification import compare, machines
from cnn_invariance.verification.compare import RATE, Comparer, Comparison
from cnn_invariance.verification.content import content_of
from cnn_invariance.verification.sample import Verification
from cnn_invariance.workflow.costs import readable

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.plotting import Caption

NAME = "verification"


@dataclass(frozen=True)
class Verified:
    """A verification that is done: its comparisons, the level of each test, and the table."""

    comparisons: Sequence[Comparison]
    level: float
    table: "pd.DataFrame"

    @property
    def summary(self) -> str:
        """How many cells came out how."""
        counts = self.table["verdict"].value_counts()
        kinds = ("identical", "within the spread", "disagrees", "undecided")
        return ", ".join(f"{counts[kind]} {kind}" for kind in kinds if kind in counts)

    @property
    def disagreeing(self) -> list[str]:
        """What is to be said of each cell that disagrees."""
        rows = self.table[self.table["verdict"] == "disagrees"]
        return [f"{row.cell}: {row.reason}" for row in rows.itertuples()]


def compared(verification: Verification) -> Verified:
    """Compare every cell that was computed again with its cached result.

    Columns: ``cell``, ``kind``, ``chosen`` ("drawn", or "on the way": computed because a drawn cell needs it),
    ``experiments``, ``verdict``, ``reason``, ``statistic`` (the least probable), its ``t`` and the ``bound`` of t,
    ``spread_of``, ``tests``, ``cached_on``, ``again_on``, ``seconds`` (of the second computation).

    Errors: InputError where a drawn cell was not computed again, or by other code than this.
    """
    import pandas as pd

    verification.check_code()
    plan, beside = verification.plan, verification.beside
    if absent := [cell for cell in verification.chosen if not beside.results.has(cell)]:
        raise InputError(f"{absent[0].key} was not computed again, nor were {len(absent) - 1} others: snakemake verify")
    comparer = Comparer(plan, beside)
    comparisons = [
        comparer.compare(cell) for cell in compare.comparable(plan.results, beside.results, verification.cells)
    ]
    level = compare.level(comparisons)
    rows = [_row(verification, one, level) for one in comparisons]
    return Verified(comparisons, level, pd.DataFrame(rows))


def write(verification: Verification) -> Verified:
    """Write ``results/<preset>/verification.csv``, ``.md`` and ``.json``, and the figure of the same name."""
    from cnn_invariance.plotting import Canvas, tables

    plan, done = verification.plan, compared(verification)
    caption = _caption(verification, done)
    printed = _printed(done.table)
    texts = {
        "csv": tables.csv(done.table),
        "md": tables.markdown(printed, str(caption), 2),
        "json": caption.to_json(**tables.record(printed, 2)),
    }
    for ending, text in texts.items():
        write_whole(plan.results.root / f"{NAME}.{ending}", text)
    folder = plan.folders.figure_folder(plan.study.name, NAME)
    Canvas(folder, folder).figure(NAME, _figure(verification, done), caption)
    return done


def _row(verification: Verification, one: Comparison, level: float) -> dict[str, Any]:
    plan, cell = verification.plan, one.cell
    verdict, reason = one.verdict(level)
    worst = one.worst if one.tested else None
    again = verification.beside.results.provenance(cell)
    return {
        "cell": cell.key,
        "kind": cell.noun,
        "chosen": "drawn" if cell in verification.chosen else "on the way",
        "experiments": " ".join(plan.users[cell]),
        "verdict": verdict,
        "reason": reason,
        "statistic": worst.statistic if worst else "",
        "t": worst.t if worst else np.nan,
        "bound": worst.bound(level) if worst else np.nan,
        "spread_of": f"{worst.yardstick.seeds} seeds, {worst.yardstick.designs} other designs" if worst else "",
        "tests": len(one.scores) if one.tested else 0,
        "cached_on": machines.name(plan.results.provenance(cell)),
        "again_on": machines.name(again),
        "seconds": again["wall_s"],
    }


def _printed(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The table for a page: of the experiments the first, and how many more."""
    names = ["cell", "chosen", "experiments", "verdict", "reason", "statistic", "t", "bound", "spread_of", "cached_on"]
    first = frame["experiments"].str.replace(" ", " and ", n=1).str.replace(r"(?<=and )(.*)", _count, regex=True)
    return frame[names].assign(experiments=first)


def _count(rest: re.Match[str]) -> str:
    return f"{len(rest[0].split())} more"


def _caption(verification: Verification, done: Verified) -> "Caption":
    from cnn_invariance.plotting import Caption

    plan, table = verification.plan, done.table
    tests, drawn = int(table["tests"].sum()), int((table["chosen"] == "drawn").sum())
    machine = " and ".join(dict.fromkeys(table["again_on"]))
    cached = sum(map(plan.results.has, plan.cells))
    setting = (
        f"{drawn} of {cached} cells, drawn at random (seed {verification.sampling.seed}) evenly from kinds of cells "
        f"and experiments, and {len(table) - drawn} on which they depend; {readable(float(table['seconds'].sum()))} on "
        f"{machine}.",
        "Identical: every number to the last bit, which is expected of the same kind of machine, the same versions "
        "and code, and one thread.",
        "Elsewhere a cell disagrees if a statistic (accuracies as arcsin(sqrt(p)), the logarithm of the layer profile "
        "of each measure) lies further from the cached one than two seeds do: t = difference / (sqrt(2) x the "
        "deviation over seeds), bounded by Student's distribution; the deviation is that of the other seeds of the "
        "cell's design, moderated by the designs of the same dataset.",
        f"{tests} tests, each at the level {RATE:g} / {tests}: a table of honest results has a disagreement with a "
        f"probability of at most {RATE:.0%}, if results of the same seed lie no further apart than those of two seeds."
        if tests
        else "No cell needed a test.",
        "Changes that are smaller than the spread are found on the same kind of machine only.",
    )
    title = f"Cached results of preset {plan.study.name} computed again from nothing: {done.summary}"
    return Caption(title, setting=setting, preset=plan.study.name)


def _figure(verification: Verification, done: Verified) -> Any:
    from cnn_invariance.plotting.agreement import Point, agreement_figure

    plan, verdicts = verification.plan, dict(zip(done.table["cell"], done.table["verdict"], strict=True))
    measure = "NV" if "NV" in plan.study.measures else plan.study.measures[0]
    accuracies: list[Point] = []
    profiles: list[Point] = []
    shares = {}
    for one in done.comparisons:
        verdict = verdicts[one.cell.key]
        cached, again = (content_of(results, one.cell) for results in _both(verification))
        for points, ours, theirs in (
            (accuracies, cached.accuracies(), again.accuracies()),
            (profiles, cached.profile(measure), again.profile(measure)),
        ):
            points += [Point(x, y, verdict) for x, y in zip(ours, theirs, strict=False)]
        shares[one.cell.key] = (_share(one, verdict, done.level), verdict)
    return agreement_figure({"Accuracy": accuracies, f"{measure} of layers": profiles}, shares)


def _share(one: Comparison, verdict: str, level: float) -> float | None:
    """How far the worst statistic lies from the cached one, as a share of the bound; all too far without a test."""
    if one.tested and one.worst:
        return one.worst.t / one.worst.bound(level)
    return np.inf if verdict == "disagrees" else None


def _both(verification: Verification) -> tuple[Any, Any]:
    return verification.plan.results, verification.beside.results
