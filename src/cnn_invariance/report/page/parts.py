"""What the page shows of each experiment: its figures and tables as a run left them, and what their captions share."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from cnn_invariance.errors import InputError
from cnn_invariance.report.page import markdown
from cnn_invariance.report.page.captions import Caption, Shared
from cnn_invariance.report.page.evidence import Statement
from cnn_invariance.workflow.plan import Plan

GROUPS = {
    "validation": (
        *("accuracy", "published_accuracy", "measure_comparison", "augmentation_intensity", "goodfellow_alpha"),
        *("goodfellow_parts", "same_equivariance", "aggregation"),
    ),
    "stability": (
        *("dataset_size", "dataset_subset", "dataset_transfer", "transformation_samples", "transformation_range"),
        *("transformation_diversity", "random_initialization", "random_weights", "during_training", "stratified"),
    ),
    "characterisation": (
        *("structure", "compare_models", "batch_normalization", "activation_function", "kernel_size", "max_pooling"),
        *("ti_pooling", "feature_maps", "heatmap"),
    ),
}
"""The paper's three kinds of experiment, as in README.md; what is in none of them comes last."""
FURTHER = "further"
PUBLISHED = "published_accuracy"
CSS_DPI = 96


@dataclass(frozen=True)
class Picture:
    """A figure: PNG as a data URI, with its size in CSS pixels on paper.

    PNG and not SVG: the figures of preset laptop are half as many bytes so, and faster to show. As pictures neither has
    text to select; inline, the ids of SVG files would collide.
    """

    name: str
    caption: Caption
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class Table:
    """A table: as HTML for readers, and its CSV of full precision as a data URI."""

    name: str
    caption: Caption
    html: Markup
    rows: int
    csv: str


@dataclass(frozen=True)
class Section:
    """An experiment. ``missing``: how many of its ``cells`` are not computed; then it has no figures and no tables."""

    name: str
    group: str
    question: str
    cells: int
    missing: int
    pictures: Sequence[Picture]
    tables: Sequence[Table]
    shared: Shared
    claims: Sequence[Statement]

    @property
    def title(self) -> str:
        """The name for people."""
        return self.name.replace("_", " ")


def sections(plan: Plan, claims: Iterable[Statement]) -> list[Section]:
    """All experiments of the preset, in its order."""
    claims = list(claims)
    return [_section(plan, name, [one for one in claims if one.experiment == name]) for name in plan.study.experiments]


def picture(folder: Path, name: str, question: str = "") -> Picture:
    """A figure of a folder with its caption (InputError if it is not drawn)."""
    content = there(folder / f"{name}.png").read_bytes()
    with Image.open(folder / f"{name}.png") as image:
        dpi = image.info.get("dpi", (CSS_DPI, CSS_DPI))
        width, height = (round(size * CSS_DPI / of) for size, of in zip(image.size, dpi, strict=True))
    caption = there(folder / f"{name}.md").read_text(encoding="utf-8")
    return Picture(name, Caption.read(caption, question), uri("image/png", content), width, height)


def table(folder: Path, name: str, question: str = "") -> Table:
    """A table of a folder (InputError if it is not there)."""
    text = there(folder / f"{name}.md").read_text(encoding="utf-8")
    caption, html = markdown.table(text)
    csv = uri("text/csv", there(folder / f"{name}.csv").read_bytes())
    return Table(name, Caption.read(caption, question), html, markdown.rows(text), csv)


def verification(plan: Plan) -> tuple[list[Table], list[Picture]]:
    """The table of ``snakemake verify`` and its figures; nothing where none was run."""
    root = plan.folders.cells(plan.study.name).root
    folder = plan.folders.figure_folder(plan.study.name, "verification")
    tables = [table(root, "verification")] if (root / "verification.md").is_file() else []
    return tables, [picture(folder, path.stem) for path in sorted(folder.glob("*.png"))]


def _section(plan: Plan, name: str, claims: Sequence[Statement]) -> Section:
    question = plan.study.experiments[name].question
    missing = len(plan.lacking(name))
    outputs, folders, preset = plan.study.outputs[name], plan.folders, plan.study.name
    pictures: list[Picture] = []
    tables: list[Table] = []
    if not missing:
        pictures = [picture(folders.figure_folder(preset, name), one, question) for one in outputs.figures]
        tables = [table(folders.table_folder(preset), one, question) for one in outputs.tables]
    shared = Shared.of([*(one.caption for one in pictures), *(one.caption for one in tables)])
    cells = len(plan.study.cells[name])
    return Section(name, _group(name), question, cells, missing, pictures, tables, shared, claims)


def _group(name: str) -> str:
    return next((group for group, names in GROUPS.items() if name in names), FURTHER)


def there(path: Path) -> Path:
    """The path, if there is a file (InputError if not)."""
    if not path.is_file():
        raise InputError(f"{path}: not there yet; `snakemake report` draws what is missing and writes the page")
    return path


def uri(kind: str, content: bytes) -> str:
    """Content as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
