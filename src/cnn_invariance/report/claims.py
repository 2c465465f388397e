"""The claims of a study, tested on the results of a preset. No torch."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnn_invariance.paper import points
from cnn_invariance.paper.sources import Source, tests
from cnn_invariance.paper.words import enumerated
from cnn_invariance.report import specifications
from cnn_invariance.statistics.evidence import TAIL, Estimate, Verdict, holm, q_values
from cnn_invariance.storage.files import write_whole
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products, existing

if TYPE_CHECKING:
    import pandas as pd

    from cnn_invariance.experiments.framework.claims import Claim, Finding

COLUMNS = (
    "experiment", "claim", "primary", "about", "condition", "verdict", "estimate", "low", "high", "scale", "rule", "n",
    "p", "holm", "q", "seeds", "reason", *specifications.ADDED, "reading", "source", "because", "statement",
    "statistic", "cells", "statement_sha256",
)  # fmt: skip
"""Of ``claims.csv``. Rows without a ``condition`` are the claim's verdict on a dataset, over all conditions; the others
are single conditions. ``low`` and ``high`` bound the 95 % interval of the estimate over ``n`` networks. ``p`` is
one-sided for the claim; ``holm`` is adjusted over the primary claims, ``q`` over all. ``seeds`` of each condition would
decide an undecided claim with power .9. ``source`` is whose statement is tested, see `cnn_invariance.paper.sources`;
``cells`` are those that the estimate is from. ``reading`` is confirmatory or exploratory by the frozen statement of the
claims, whose SHA-256 is ``statement_sha256``, see `cnn_invariance.experiments.framework.statement`. Of a primary claim
on profiles, ``agree`` of ``specifications`` have its verdict, and ``without_dead`` is that without dead units, see
`cnn_invariance.report.specifications`.
"""
VERDICTS: tuple[Verdict, ...] = ("supported", "not supported", "depends on the set", "undecided")
RULE = (
    "A claim is supported where the whole 95 % interval of its statistic over independently trained networks lies in "
    "the region that was claimed before looking, not supported where it lies wholly outside; it depends on the set "
    "where transformation sets are decided against each other, and is undecided otherwise."
)


def records(plan: Plan) -> list[dict[str, Any]]:
    """A record for each claim and what it is about: the columns `COLUMNS`, ``side``, ``threshold`` and ``datasets``.

    Behind it one for each condition of several. Claims are tested on the datasets all of whose cells are computed; of
    the others an experiment has one record a claim, undecided, which names what is missing.
    """
    from cnn_invariance.experiments.framework.statement import FrozenClaims

    curves = specifications.read(plan)
    frozen, seeds = FrozenClaims.beside(plan.study.path), {cell.key: cell.network.seed for cell in plan.cells}
    rows = _adjusted([row for name in plan.study.experiments for row in _rows(plan, name)])
    for row in rows:
        if not row["condition"]:
            row |= curves.get((row["experiment"], row["claim"], row.get("about", "")), {})
        used = {seeds[key] for key in row["cells"]} or {
            cell.network.seed for cell in plan.study.cells[row["experiment"]]
        }
        row["reading"] = frozen.reading(plan.study.name, used, row["experiment"], row["claim"])
        row["statement_sha256"] = frozen.sha256
    return rows


def read(plan: Plan) -> list[dict[str, Any]]:
    """The `records` that `write` left, as `plain` gives them (InputError where there are none)."""
    *_, path = Products(plan).claims
    found: list[dict[str, Any]] = json.loads(existing(path).read_text(encoding="utf-8"))
    return found


def table(found: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """The records as a table with the columns `COLUMNS`; the keys of cells are one text, with spaces between them."""
    import pandas as pd

    return pd.DataFrame([{**one, "cells": " ".join(one["cells"])} for one in found], columns=list(COLUMNS))


def write(plan: Plan) -> None:
    """Write the claims of a preset: ``claims.csv``; ``claims.json``, for the page; ``claims.md``, for readers."""
    from cnn_invariance.plotting import tables

    found = records(plan)
    frame = table(found)
    verdicts = tables.markdown(brief(frame), caption(frame, plan.study.name))
    texts = {
        "csv": tables.csv(frame),
        "md": verdicts + "\n" + tables.markdown(printed(frame), "The numbers behind the verdicts."),
        "json": json.dumps(plain(found), indent=1, allow_nan=False) + "\n",
    }
    for path in Products(plan).claims:
        write_whole(path, texts[path.suffix[1:]])


def brief(frame: "pd.DataFrame") -> "pd.DataFrame":
    """A row for each claim, a column for each dataset that it is about, with the verdict."""
    import pandas as pd

    frame = frame[frame["condition"].fillna("") == ""]
    columns = list(dict.fromkeys(frame["about"].dropna())) or ["verdict"]
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in frame.to_dict("records"):
        about = [row["about"]] if isinstance(row["about"], str) else columns  # what is not computed is about all
        place = (row["experiment"], row["statement"], row["source"])
        rows.setdefault(place, {}).update(dict.fromkeys(about, row["verdict"]))
    shown = [
        {"experiment": name, "claim": text, "source": source, **verdicts}
        for (name, text, source), verdicts in rows.items()
    ]
    return pd.DataFrame(shown, columns=["experiment", "claim", "source", *columns])


def printed(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The table for a page: the interval beside the estimate, nothing repeated."""
    import pandas as pd

    rows = frame.to_dict("records")
    return pd.DataFrame(
        {
            "experiment": [row["experiment"] for row in rows],
            "claim": [row["statement"] for row in rows],
            "tests": [tests(Source(row["source"])) for row in rows],
            "on": [", ".join(filter(None, (_text(row["about"]), _text(row["condition"])))) for row in rows],
            "networks": [row["n"] for row in rows],
            "statistic": [row["statistic"] for row in rows],
            "estimate [95 %]": [
                in_words(*(math.nan if pd.isna(row[name]) else row[name] for name in ("estimate", "low", "high", "p")))
                or "-"
                for row in rows
            ],
            "rule": [row["rule"] for row in rows],
            "p after Holm": [_p_in_words(row["holm"]) for row in rows],
            "q": [_p_in_words(row["q"]) for row in rows],
            "verdict": [f"{row['verdict']} ({row['reason']})" if row["reason"] else row["verdict"] for row in rows],
            "robustness": [robustness(row) for row in rows],
        }
    )


def in_words(estimate: float, low: float, high: float, p: float) -> str:
    """An estimate with its interval and the p of its test; NaN is unknown, and without an estimate nothing is said.

    >>> in_words(0.5, 0.25, 0.75, math.nan), in_words(0.5, math.nan, math.nan, 0.001), in_words(*[math.nan] * 4)
    ('0.5 [0.25, 0.75]', '0.5, p = 0.001', '')
    >>> in_words(0.5, 0.25, 0.75, 3e-7)  # the table in full precision has the number
    '0.5 [0.25, 0.75], p < 0.001'
    """
    if math.isnan(estimate):
        return ""
    interval = "" if math.isnan(low) else f" [{low:.3g}, {high:.3g}]"
    return f"{estimate:.3g}{interval}{'' if math.isnan(p) else ', p < 0.001' if p < 0.001 else f', p = {p:.2g}'}"


def _p_in_words(p: float) -> str:
    """An adjusted p or q; empty where there is none.

    >>> _p_in_words(0.0123), _p_in_words(1e-9), _p_in_words(math.nan)
    ('0.012', '< 0.001', '')
    """
    return "" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.2g}"


def after_holm(records: Sequence[Mapping[Any, Any]]) -> str:
    """How many of the supported primary claims stay so when all primary ones are adjusted together; empty for none."""
    whole = [row for row in records if not row["condition"] and row["primary"] and row["verdict"] == "supported"]
    kept = [row for row in whole if float(row["holm"]) < TAIL]
    if not whole:
        return ""
    lost = enumerated([f"{row['experiment']} on {row['about']}" for row in whole if row not in kept])
    return (
        f"Of {len(whole)} primary claims that are supported, {len(kept)} have a p below {TAIL:g} after Holm's "
        f"adjustment over all primary claims{f' (not: {lost})' if lost else ''}."
    )


def robustness(row: Mapping[Any, Any]) -> str:
    """How many specifications agree with a verdict, and what it is without dead units, where that is another.

    >>> robustness({"specifications": 48, "agree": 40, "verdict": "supported", "without_dead": "undecided"})
    '40 of 48 specifications agree; without dead units: undecided'
    """
    count, alone = row.get("specifications"), row.get("without_dead")
    if not isinstance(count, int | float) or not count > 0:
        return ""
    turned = f"; without dead units: {alone}" if isinstance(alone, str) and alone not in ("", row["verdict"]) else ""
    return f"{row['agree']:.0f} of {count:.0f} specifications agree{turned}"


def caption(frame: "pd.DataFrame", preset: str) -> str:
    """What the table shows, and how many claims came out how."""
    counts = frame.loc[frame["condition"].fillna("") == "", "verdict"].value_counts()
    found = ", ".join(f"{counts.get(name, 0)} {name}" for name in VERDICTS)
    adjusted = after_holm(frame.fillna({"condition": ""}).to_dict("records"))
    return " ".join(filter(None, [f"Claims, tested on the results of preset {preset}: {found}.", adjusted, RULE]))


def _rows(plan: Plan, experiment: str) -> Iterator[dict[str, Any]]:
    claims, complete = plan.study.experiments[experiment].claims, plan.computed.get(experiment)
    if claims and complete is not None:
        view = plan.study.on(experiment, complete)
        for finding in view.experiments[experiment].findings(view, plan.results):
            yield from _found(experiment, finding)
    if claims and (missing := plan.lacking(experiment)):
        count = len(plan.study.cells[experiment])
        reason = f"not yet computed: {len(missing)} of {count} cells, the first {missing[0].key}"
        about = [label for label in plan.study.datasets_of(experiment) if complete and label not in complete]
        where = {"about": " and ".join(about), "datasets": tuple(about)} if about else {}
        undecided = {"verdict": "undecided", "reason": reason, **where}
        yield from (_row(experiment, claim) | undecided for claim in claims)


def _adjusted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with their p values adjusted: over the primary claims (Holm), and over all (q)."""
    whole = [row for row in rows if not row["condition"]]
    for name, adjust, family in (
        ("holm", holm, [row for row in whole if row["primary"]]),
        ("q", q_values, whole),
    ):
        values = adjust([row.get("p", math.nan) for row in family])
        for row, value in zip(family, values, strict=True):
            row[name] = value
    return rows


def whose(experiment: str, claim: "Claim") -> Source:
    """Whose statement a claim is: in an experiment of a user's own it is expected, whatever its class says."""
    return Source.EXPECTED if points.origin(experiment) == "user" else claim.source


def _row(experiment: str, claim: "Claim") -> dict[str, Any]:
    return {
        "experiment": experiment,
        "claim": claim.name,
        "primary": claim.primary,
        "condition": "",
        "source": whose(experiment, claim).value,
        "because": claim.because,
        "statement": claim.statement,
        "statistic": claim.statistic,
        "rule": claim.rule.in_words,
        "side": claim.rule.side,
        "threshold": claim.rule.threshold,
        "scale": claim.rule.scale.name,
        "datasets": (),
        "cells": (),
    }


def _found(experiment: str, finding: "Finding") -> Iterator[dict[str, Any]]:
    """The row of a finding, then those of its conditions if it has several."""
    row = _row(experiment, finding.claim) | {
        "about": finding.about,
        "datasets": finding.datasets,
        "cells": tuple(cell.key for cell in finding.cells),
    }
    whole = {"verdict": finding.verdict, "reason": finding.why, "p": finding.p, "seeds": finding.seeds}
    if finding.given is None:  # conditions can share networks, of which each counts once
        whole["n"] = min(finding.evidence.pooled.n, len({cell.network for cell in finding.cells}))
    yield row | _numbers(finding.evidence.pooled) | whole
    if len(finding.evidence.conditions) > 1:
        for name, one in finding.evidence.conditions.items():
            yield row | _numbers(one) | {"condition": name, "cells": ()}


def _numbers(found: Estimate) -> dict[str, Any]:
    names = ("estimate", "low", "high", "n", "p", "verdict", "reason", "seeds")
    return {name: getattr(found, name) for name in names}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def plain(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The records for JSON, which has neither infinity nor not-a-number: such a value is given as text."""
    return [
        {
            name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in record.items()
        }
        for record in found
    ]
