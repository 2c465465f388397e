"""Pages to test: of the committed preset quick, and of a copy of it that has everything a page can show."""

import csv
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from cnn_invariance.experiments.framework.programme import Programme
from cnn_invariance.report import page
from cnn_invariance.workflow.folders import Folders
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products

ROOT = Path(__file__).parents[2]
HOSTILE = "<script>document.title='stolen'</script><img src=x onerror=alert(1)>&\"'"
"""What must come out as the text it is, wherever it goes in."""

OTHER = """\
  mnist: # nothing was trained on it: its experiment is not computed yet
    fingerprint: "{zeros}"
    accuracy_floor: 0

"""
EXPERIMENTS = """\
  accuracy: {batch_norm: false, datasets: [mnist5k]}
  compare_models: {datasets: [mnist5k]}
  augmentation_intensity: {datasets: [mnist5k]}
  heatmap: {datasets: [mnist5k]}
  feature_maps: {datasets: [mnist]}
"""


@dataclass(frozen=True)
class Written:
    """A page, and the plan it was written from."""

    plan: Plan
    path: Path

    @property
    def text(self) -> str:
        """The page."""
        return self.path.read_text(encoding="utf-8")

    @property
    def claims(self) -> list[dict[str, str]]:
        """The rows of claims.csv."""
        with Products(self.plan).claims[0].open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def quick(tmp_path_factory) -> Written:
    """The page of the preset quick, from its committed results and figures."""
    path = tmp_path_factory.mktemp("quick") / "quick.html"
    plan = Plan(Programme.load(ROOT / "config/quick.yaml"), Folders(results=ROOT / "results", figures=ROOT / "figures"))
    page.write(plan, path)
    return Written(plan, path)


@pytest.fixture(scope="session")
def everything(tmp_path_factory) -> Written:
    """quick with another dataset, an experiment that is not computed, each verdict, a verification, hostile texts."""
    root = tmp_path_factory.mktemp("everything")
    for name in ("results", "figures"):
        shutil.copytree(ROOT / name / "quick", root / name / "quick")
    preset = (ROOT / "config/quick.yaml").read_text(encoding="utf-8")
    preset = preset[: preset.index("  accuracy: {")] + EXPERIMENTS
    preset = preset.replace("# Larger", OTHER.format(zeros="0" * 64) + "# Larger", 1)
    preset = preset.replace("description: 5,000", f"description: | # {HOSTILE}\n  {HOSTILE} 5,000", 1)
    (root / "everything.yaml").write_text(preset, encoding="utf-8")
    plan = Plan(Programme.load(root / "everything.yaml"), Folders(results=root / "results", figures=root / "figures"))
    _verify(plan)
    _claim(plan)
    caption = plan.folders.figure_folder("quick", "heatmap") / "heatmap_mnist5k_scale.md"
    caption.write_text(f"{HOSTILE} {caption.read_text(encoding='utf-8')}", encoding="utf-8")
    table = plan.folders.table_folder("quick") / "accuracy.md"
    table.write_text(f"{HOSTILE} {table.read_text(encoding='utf-8')}| {HOSTILE} |\n", encoding="utf-8")
    page.write(plan, root / "everything.html")
    return Written(plan, root / "everything.html")


def _verify(plan: Plan) -> None:
    """Files as a verification leaves them: a table, and a figure with its caption."""
    root, figures = plan.results.root, plan.folders.figure_folder("quick", "verification")
    (root / "verification.md").write_text("Cells again.\n\n| cell | verdict |\n| :--- | :--- |\n| a | agrees |\n")
    (root / "verification.csv").write_text("cell,verdict\na,agrees\n")
    figures.mkdir()
    for path in plan.folders.figure_folder("quick", "heatmap").glob("heatmap_mnist5k_rotation.*"):
        shutil.copy(path, figures / f"verification{path.suffix}")


def _claim(plan: Plan) -> None:
    """Claims of each verdict, on both datasets and on none; one with hostile texts."""
    path = Products(plan).claims[0]
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    known = rows[0]
    rows += [
        {**known, "about": "mnist", "verdict": "not supported", "low": "0.1", "estimate": "0.2", "high": "0.3"},
        {**rows[3], "about": "mnist", "verdict": "undecided", "reason": "the threshold lies inside the interval"},
        {**known, "claim": "hostile", "about": HOSTILE, "statement": HOSTILE, "statistic": HOSTILE, "reason": HOSTILE},
        {**dict.fromkeys(known, ""), "experiment": "feature_maps", "claim": "look",
         "verdict": "undecided", "rule": "supported if below 0.1", "reason": "not yet computed: 3 of 3 cells",
         "statement": "They look invariant.", "statistic": "relative difference"},
    ]  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, known, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
