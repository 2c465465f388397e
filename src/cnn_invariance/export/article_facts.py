"""What the article says of a preset, read from its results, tables and captions; and whether those are up to date.

The article has no number of its own: its template asks for each by a key of `facts`, and fails for a key that is not
there.
"""

import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cnn_invariance import __version__
from cnn_invariance.errors import InputError
from cnn_invariance.experiments.framework import registry
from cnn_invariance.paper import departures, points, published
from cnn_invariance.plotting import Canvas
from cnn_invariance.plotting.caption import Caption
from cnn_invariance.report import claims
from cnn_invariance.report.claims import VERDICTS
from cnn_invariance.results.provenance import commit
from cnn_invariance.statistics.intervals import CONFIDENCE
from cnn_invariance.study import document
from cnn_invariance.workflow.costs import readable
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products

LONGEST_TABLE = 40
"""Rows of a table that is quoted."""
TOLERANCE = 1e-6
"""Relative: by how much a number may differ on another machine and be the same."""
TEXTS = Path(__file__).with_name("article.yaml")


class TablesOnly(Canvas):
    """A canvas that keeps tables and no pictures."""

    def figure(self, *_: Any) -> None:
        """Leave a picture out."""


def facts(plan: Plan) -> dict[str, Any]:
    """Everything that the template of the article asks for: numbers, and texts with numbers in them, by key.

    Errors: InputError for a figure, table or record that is missing.
    """
    study, records = plan.study, _claims(plan)
    tested = [one for one in records if not one["condition"]]
    return {
        "preset": {"name": study.name, "file": study.path.name, "description": study.preset.description},
        "cells": {
            "done": sum(map(plan.results.has, plan.cells)),
            "all": len(plan.cells),
            "networks": len(plan.networks),
            "measured": len(plan.measurements),
        },
        "seeds": len(study.seeds),
        "level": f"{100 * CONFIDENCE:g} %",
        "datasets": [{"label": name, "source": entry.source} for name, entry in study.preset.datasets.items()],
        "models": [_model(plan, label) for label in study.models],
        "sets": [f"{label} ({study.set(label).size} members)" for label in study.sets],
        "claims": {
            "all": len(tested),
            "statement": tested[0]["statement_sha256"] if tested else "",
            **{verdict: sum(one["verdict"] == verdict for one in tested) for verdict in VERDICTS},
        },
        "readings": sorted({one["reading"] for one in tested}),
        "rule": claims.RULE,
        "rows": [_claim(one) for one in tested],
        "experiments": [_experiment(plan, name, tested) for name in study.experiments],
        "missing": [_not_in(name) for name in registry.names() if name not in study.experiments],
        "points": dict(points.counts(points.points())),
        "absent": [_point(one) for one in points.chosen(verdict="absent")],
        "departures": {"package": [_point(one) for one in points.chosen(verdict="departs")], "preset": _departed(plan)},
        "summary": " ".join(_summary(plan).setting),
        "log": len(published.rows()),
        "tables": [table for name in _quoted(plan) for table in _tables(plan, name)],
        "made": _made(plan),
        "texts": document.read(TEXTS).content,
    }


@dataclass(frozen=True)
class Stale:
    """A number that is not what the results give now: where it is, what it is there, and what it should be."""

    place: str
    found: Any
    expected: Any

    def __str__(self) -> str:
        return f"{self.place}: {self.found!r}, and the results give {self.expected!r}"


def stale(plan: Plan) -> Iterator[Stale]:
    """Each number in the tables and claims that the article quotes which the results do not give now."""
    now = claims.plain(claims.records(plan))
    for row, (found, expected) in enumerate(_pairs(_claims(plan), now)):
        for name in expected:
            if not _same(found.get(name), expected[name]):
                claim = f"{expected['experiment']}/{expected['claim']}"
                yield Stale(f"claims.json, {claim}, row {row}, {name}", found.get(name), expected[name])
    for experiment in _quoted(plan):
        yield from _stale_tables(plan, experiment)


def _quoted(plan: Plan) -> list[str]:
    """The experiments whose tables the article quotes: those that are of accuracies, and not of profiles."""
    return [name for name in plan.computed if not plan.study.experiments[name].of_profiles]


def _stale_tables(plan: Plan, experiment: str) -> Iterator[Stale]:
    view = plan.study.on(experiment, plan.computed[experiment])
    one, committed = view.experiment(experiment), plan.folders.table_folder(plan.study.name)
    with tempfile.TemporaryDirectory() as folder:
        canvas = TablesOnly(Path(folder), Path(folder), one.opening(view, plan.results))
        one.draw(view, plan.results, canvas)
        for name in view.outputs_of(experiment).tables:
            found, expected = (_read(place / f"{name}.json")["rows"] for place in (committed, Path(folder)))
            for row, (left, right) in enumerate(_pairs(found, expected)):
                if left != right:
                    yield Stale(f"tables/{name}.json, row {row}", left, right)


def _pairs(found: Sequence[Any], expected: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Row by row; a row that is missing or too much is an empty one on the other side."""
    for row in range(max(len(found), len(expected))):
        yield tuple(side[row] if row < len(side) else type(expected[0])() for side in (found, expected))


def _same(found: Any, expected: Any) -> bool:
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (found, expected))
    if numbers:
        return math.isclose(found, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(found == (list(expected) if isinstance(expected, tuple) else expected))


def _claims(plan: Plan) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _read(Products(plan).claims[-1])
    return found


def _read(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path}: no such file; draw the preset first: snakemake --configfile PRESET")
    return json.loads(path.read_text(encoding="utf-8"))


def _claim(record: Mapping[str, Any]) -> dict[str, str]:
    known = all(isinstance(record.get(name), float) for name in ("estimate", "low", "high"))
    interval = f" [{record['low']:.3f}, {record['high']:.3f}]" if known else ""
    return {
        "experiment": record["experiment"],
        "statement": record["statement"],
        "source": record["source"],
        "about": record.get("about") or "",
        "estimate": f"{record['estimate']:.3f}{interval}" if isinstance(record.get("estimate"), float) else "–",
        "rule": str(record["rule"]).removeprefix("supported if "),
        "n": str(record.get("n", "–")),
        "verdict": record["verdict"],
        "reason": record.get("reason", ""),
    }


def _experiment(plan: Plan, name: str, tested: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An experiment with its first figure, where it is drawn."""
    one, own = plan.study.experiments[name], [row for row in tested if row["experiment"] == name]
    found: dict[str, Any] = {
        "name": name,
        "group": one.group,
        "question": one.question,
        "origin": points.origin(name),
        "cells": len(plan.study.cells[name]),
        "claims": len(own),
        "verdicts": ", ".join(
            f"{count} {verdict}" for verdict in VERDICTS if (count := sum(row["verdict"] == verdict for row in own))
        ),
        "figure": "",
    }
    if name in plan.computed:
        figure = next(path for path in Products(plan).figures(name) if path.suffix == ".svg")
        caption = Caption.from_record(_read(figure.with_suffix(".json"))["caption"])
        shown = {"title": caption.title, "finding": caption.finding, "setting": [*caption.setting, *caption.measures]}
        found |= {"figure": str(figure), **shown, "sizes": caption.shown, "counts": caption.counts}
    return found


def _not_in(name: str) -> dict[str, str]:
    return {"name": name, "question": registry.load(name).question, "origin": points.origin(name)}


def _model(plan: Plan, label: str) -> dict[str, str]:
    entry = plan.study.preset.models[label]
    arguments = ", ".join(f"{name} {value}" for name, value in entry.arguments.items())
    rate = f"{entry.learning_rate:g}"
    return {"label": label, "arguments": arguments or "the usual", "rate": rate, "epochs": str(entry.epochs)}


def _point(one: points.Point) -> dict[str, str]:
    return {"about": f"{one.about}, {one.topic}", "says": one.says, "how": one.how, "letter": one.letter}


def _departed(plan: Plan) -> list[dict[str, Any]]:
    """By dataset, what differs from the author's code in the finished cells as a whole."""
    study = plan.study
    found = []
    for label in study.datasets:
        spec = study.dataset(label)
        networks = [one for one in plan.networks if plan.results.has(one) and one.dataset == spec]
        measured = [one for one in plan.measurements if plan.results.has(one) and one.dataset == spec]
        entry = study.preset.datasets[label]
        phrases = departures.departures(entry.source, networks, measured, study.label_of)
        phrases += departures.other_floor(entry.source, entry.accuracy_floor)
        found.append({"dataset": label, "phrases": phrases})
    return found


def _summary(plan: Plan) -> Caption:
    """The caption of the study in one figure."""
    record = next(path for path in Products(plan).overview if path.name == "summary.json")
    return Caption.from_record(_read(record)["caption"])


def _tables(plan: Plan, experiment: str) -> Iterator[dict[str, Any]]:
    folder = plan.folders.table_folder(plan.study.name)
    for name in plan.study.on(experiment, plan.computed[experiment]).outputs_of(experiment).tables:
        record = _read(folder / f"{name}.json")
        if len(record["rows"]) <= LONGEST_TABLE:
            caption = Caption.from_record(record["caption"])
            yield {
                "experiment": experiment,
                "title": caption.title,
                "columns": [one["name"] for one in record["columns"]],
                "numbers": [one["number"] for one in record["columns"]],
                "rows": record["rows"],
            }


def _made(plan: Plan) -> dict[str, Any]:
    """Where, when and with what the cells were computed, and what it took."""
    known = [plan.results.provenance(cell) for cell in plan.cells if plan.results.has(cell)]
    days = sorted(str(one["started"])[:10] for one in known)
    return {
        "time": readable(sum(float(one.get("wall_s", 0)) for one in known)),
        "first": days[0],
        "last": days[-1],
        "devices": sorted({str(one.get("gpu") or one.get("cpu")) for one in known}),
        "commits": sorted({str(one.get("commit")) for one in known}),
        "torch": sorted({str(one.get("torch")) for one in known}),
        "version": __version__,
        "commit": commit(Path(__file__).parents[1]) or "not known",
        "snakemake": version("snakemake"),
    }
