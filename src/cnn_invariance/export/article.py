"""The replication report of a preset as a PDF, in the form that ReScience C asks for.

It says what was replicated and what was not, the obstacles and the departures. It is typeset by Typst, offline, from
``article.typ``; its figures are the study's, and its numbers come by key from `article_facts.facts`.
"""

import json
import shutil
import tempfile
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from cnn_invariance.errors import InputError
from cnn_invariance.export import article_facts
from cnn_invariance.storage.files import write_whole
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products

TEMPLATE = Path(__file__).with_name("article.typ")
NAMED = 10
"""How many stale numbers an error names."""
COUNTS = {"none": 0, "one": 1}
"""Numbers that the template compares with, so that it has none of its own."""


def write(plan: Plan, output: Path, *, partly: bool = False) -> str:
    """Write the report; a sentence on what it is of.

    partly: whether it may be of a preset of which cells are missing, which it says then

    Errors: InputError without the package ``typst``, for a preset with missing cells, for a number in its tables that
    its results do not give, and for a figure that is missing.
    """
    if find_spec("typst") is None:
        raise InputError(
            "the article is typeset with the package typst, which is not installed; install it: make install-export, "
            "or pip install 'cnn_invariance[export]'"
        )
    missing = sum(not plan.results.has(cell) for cell in plan.cells)
    if missing and not partly:
        raise InputError(
            f"preset {plan.study.name} lacks {missing} of {len(plan.cells)} cells, and the article speaks of whole "
            "presets; compute them, or allow it with --partly"
        )
    if missing == len(plan.cells):
        raise InputError(f"preset {plan.study.name} has no result in {plan.results.root} to speak of")
    if found := list(islice(article_facts.stale(plan), NAMED)):
        preset = plan.study.path
        raise InputError(
            "\n".join(
                [f"the tables are out of date; draw them again: snakemake --configfile {preset}", *map(str, found)]
            )
        )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        fill(plan, root)
        pdf = typeset(root)
    write_whole(output, pdf)
    return f"{output}: the replication report of preset {plan.study.name}"


def typeset(root: Path) -> bytes:
    """The PDF of a folder that `fill` has filled (InputError for a template that asks for what is not there)."""
    import typst

    try:
        pdf: bytes = typst.compile(root / TEMPLATE.name, root=root)
    except typst.TypstError as error:
        raise InputError(f"{TEMPLATE.name}: {error}; correct the template, or what it asks for") from None
    return pdf


def fill(plan: Plan, root: Path) -> None:
    """Write what Typst reads: the template, the facts, and the figures under short names."""
    facts = article_facts.facts(plan) | COUNTS
    for number, one in enumerate(facts["experiments"]):
        if one["figure"]:
            shutil.copyfile(one["figure"], root / f"{number}.svg")
            one["figure"] = f"{number}.svg"
    for path in Products(plan).overview:
        if path.suffix == ".svg":
            shutil.copyfile(path, root / path.name)
    shutil.copyfile(TEMPLATE, root / TEMPLATE.name)
    text = json.dumps(facts, ensure_ascii=False).replace(" %", "\N{NO-BREAK SPACE}%")
    (root / "facts.json").write_text(text, encoding="utf-8")
