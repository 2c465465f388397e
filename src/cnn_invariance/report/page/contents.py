"""All that the page shows, read from a plan and from the files that its run left."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markupsafe import Markup

from cnn_invariance import __version__
from cnn_invariance.experiments.framework.experiment import Outputs
from cnn_invariance.measures import requests
from cnn_invariance.paper import points
from cnn_invariance.report import claims, profiles, sources, specifications
from cnn_invariance.report.page import answer, markdown, origins
from cnn_invariance.report.page.answer import Answer
from cnn_invariance.report.page.claim_views import ClaimView, claim_views, count_verdicts, statement_sha256
from cnn_invariance.report.page.drawn_views import (
    FigureView,
    TableView,
    packed,
    read_figure,
    read_table,
)
from cnn_invariance.report.page.experiment_views import ExperimentView, grouped
from cnn_invariance.report.page.inline_svg import Definitions
from cnn_invariance.report.page.origins import Origins
from cnn_invariance.report.page.shared_caption import SharedCaption, count_departures
from cnn_invariance.study import Cell, MeasureSpec, TrainSpec
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products, existing


@dataclass(frozen=True)
class MeasureView:
    """A measure, whatever its options; ``better``: which values say what, in words."""

    name: str
    meaning: str
    better: str


@dataclass(frozen=True)
class Preset:
    """What is shown of a preset; ``datasets``: of each its source and its fingerprint."""

    name: str
    description: str
    datasets: Mapping[str, tuple[str, str]]
    models: Sequence[str]
    transformation_sets: Sequence[str]
    measures: Sequence[MeasureView]
    file: str
    text: str


@dataclass(frozen=True)
class Shown:
    """Tables and figures of a section of their own: what ``snakemake verify`` left, or the specification curves."""

    tables: Sequence[TableView]
    figures: Sequence[FigureView]

    @property
    def shared(self) -> SharedCaption:
        """What the captions share."""
        return SharedCaption.from_captions(
            [*(one.caption for one in self.tables), *(one.caption for one in self.figures)]
        )


@dataclass(frozen=True)
class Contents:
    """What the templates show; they read nothing else.

    cells:      how many cells the study has, computed or not
    claims_csv: the table of claims as a packed data URI
    rule:       how a claim gets its verdict
    statement_sha256: of the file in which the claims were fixed; empty if there is none
    departures: what differs from the author's code in all presets
    profiles:   the data of the explorer, packed
    definitions: what the figures have in common and refer to
    version:    of this package
    failed:     the networks below the accuracy floor: of each its label, and why it is a failed run
    """

    preset: Preset
    cells: int
    summary: FigureView
    overview: FigureView
    forest: FigureView
    experiments: Sequence[ExperimentView]
    claims: Sequence[ClaimView]
    claims_csv: str
    rule: str
    statement_sha256: str
    departures: Markup
    verification: Shown
    specifications: Shown
    costs: TableView
    origins: Origins
    profiles: str
    definitions: Definitions
    version: str = __version__
    failed: Sequence[tuple[str, str]] = ()

    @cached_property
    def answer(self) -> Answer:
        """The first screen."""
        return answer.of(self)

    @cached_property
    def networks(self) -> int:
        """How many trained networks there are."""
        return sum(cell.folder == TrainSpec.folder for cell in self.origins.cells)

    @cached_property
    def groups(self) -> dict[str, list[ExperimentView]]:
        """The experiments by their group, without those that the page shows apart."""
        return grouped(one for one in self.experiments if not one.summarised)

    @cached_property
    def verdicts(self) -> dict[str, int]:
        """How many findings have which verdict."""
        return count_verdicts(finding for claim in self.claims for finding in claim.findings)

    @property
    def replicates(self) -> bool:
        """Whether an experiment of the author's code is among the experiments as it is there."""
        return any("author" in one.origins for one in self.experiments)

    @property
    def letters(self) -> dict[str, str]:
        """The sources by their letters."""
        return points.letters()

    @property
    def sources_in_short(self) -> str:
        """How many points there are, and how ours stands to them."""
        return sources.summary(points.points())

    @property
    def sources(self) -> dict[str, list[points.Point]]:
        """What each source says, point by point, under a heading for each kind."""
        return {heading: points.chosen(kind) for kind, heading in sources.HEADINGS.items()}

    @cached_property
    def departures_by_dataset(self) -> dict[str, dict[str, int]]:
        """Of each dataset, the departures that captions name, and in how many experiments."""
        return count_departures(one.shared for one in self.experiments)


def read_contents(plan: Plan) -> Contents:
    """What the page of a plan shows.

    Errors: InputError for a figure, table or result that is missing or damaged.
    """
    study, folders, results = plan.study, plan.folders, plan.results
    claims_csv, *_ = Products(plan).claims
    records = claims.read(plan)
    tested, definitions = claim_views(records), Definitions()
    tables, overview = folders.table_folder(study.name), folders.figure_folder(study.name, "overview")
    made, gathered = _read_cells(plan)
    return Contents(
        preset=_preset(plan),
        cells=len(plan.cells),
        summary=read_figure(overview, "summary", definitions),
        overview=read_figure(overview, "overview", definitions),
        forest=read_figure(overview, "claims", definitions),
        experiments=[_experiment(plan, name, tested, definitions) for name in study.experiments],
        claims=tested,
        claims_csv=packed(_without_cells(existing(claims_csv).read_text(encoding="utf-8"))),
        rule=" ".join(filter(None, [claims.RULE, claims.after_holm(records)])),
        statement_sha256=statement_sha256(records),
        departures=markdown.html(sources.departures()),
        verification=_verification(results.root, folders.figure_folder(study.name, "verification"), definitions),
        specifications=_specifications(plan, definitions),
        costs=read_table(tables, "costs"),
        failed=[(study.label_of(network.model), reason) for network, reason in plan.failed.items()],
        origins=made,
        profiles=gathered.packed(),
        definitions=definitions,
    )


def _without_cells(text: str) -> bytes:
    """The table of claims without the keys of cells, which are most of its bytes, and stand at each claim."""
    rows, kept = list(csv.DictReader(io.StringIO(text))), io.StringIO()
    names = [name for name in rows[0] if name != "cells"] if rows else []
    table = csv.DictWriter(kept, names, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return kept.getvalue().encode()


def _read_cells(plan: Plan) -> tuple[Origins, profiles.Gathered]:
    """How all computed cells were made, and the profiles of those that are measured; each file is read once."""
    gathered, kept = profiles.Gathered(profiles.Words(plan.measurements)), profiles.on_page(plan)
    computed: list[tuple[Cell, Sequence[str], origins.Provenance]] = []
    for cell in filter(plan.results.has, plan.cells):
        computed.append((cell, plan.users[cell], plan.results.provenance(cell)))
        if isinstance(cell, MeasureSpec):
            seen = origins.cell_view(*computed[-1])
            shown = {name: plan.results.numbers(cell, name) for name in cell.measures if name in kept[cell]}
            gathered.add(cell, shown, vars(seen), seen.experiments)
    return origins.read(computed), gathered


def _preset(plan: Plan) -> Preset:
    study = plan.study
    measures = {measure.full_name: measure for measure in map(requests.check, study.measures)}
    return Preset(
        name=study.name,
        description=study.preset.description,
        datasets={name: (entry.source, entry.fingerprint) for name, entry in study.preset.datasets.items()},
        models=_trained(plan) or list(study.models),
        transformation_sets=list(study.sets),
        measures=[
            MeasureView(one.name, requests.describe(name), requests.better_in_words(one))
            for name, one in measures.items()
        ],
        file=study.path.name,
        text=study.path.read_text(encoding="utf-8"),
    )


def _trained(plan: Plan) -> list[str]:
    """The labels of the models of which there is a trained network, in the order of the preset."""
    study = plan.study
    found = {study.label_of(cell.model) for cell in plan.networks if plan.results.has(cell)}
    return [label for label in study.models if label in found]


def _experiment(plan: Plan, name: str, tested: Sequence[ClaimView], definitions: Definitions) -> ExperimentView:
    experiment, preset, complete = plan.study.experiments[name], plan.study.name, plan.computed.get(name)
    outputs = plan.study.on(name, complete).outputs_of(name) if complete is not None else Outputs()
    figures, tables = plan.folders.figure_folder(preset, name), plan.folders.table_folder(preset)
    missing = len(plan.lacking(name))
    return ExperimentView(
        name=name,
        group=experiment.group,
        summarised=experiment.summarised,
        question=experiment.question,
        cells=len(plan.study.cells[name]),
        missing=missing,
        absent=[label for label in plan.study.datasets_of(name) if complete and label not in complete],
        figures=[read_figure(figures, one, definitions) for one in outputs.figures],
        tables=[read_table(tables, one) for one in outputs.tables],
        claims=[claim for claim in tested if claim.experiment == name],
        profiles=sum(isinstance(one, MeasureSpec) and plan.results.has(one) for one in plan.study.cells[name]),
        origin=points.origin(name),
    )


def _verification(root: Path, figures: Path, definitions: Definitions) -> Shown:
    return Shown(
        tables=[read_table(root, "verification")] if (root / "verification.json").is_file() else [],
        figures=[read_figure(figures, path.stem, definitions) for path in sorted(figures.glob("*.png"))],
    )


def _specifications(plan: Plan, definitions: Definitions) -> Shown:
    preset, name = plan.study.name, specifications.NAME
    tables, figures = plan.folders.table_folder(preset), plan.folders.figure_folder(preset, name)
    return Shown(
        tables=[read_table(tables, name)],
        figures=[
            read_figure(figures, Products.curve(one), definitions)
            for one in Products(plan).specified
            if one in plan.computed
        ],
    )
