"""The page as one text: what is on it, its style, its script, and the policy that lets nothing else in."""

import base64
import hashlib
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cnn_invariance.measures import requests
from cnn_invariance.report import claims
from cnn_invariance.report.page import captions, evidence, made, markdown, parts
from cnn_invariance.storage.files import atomic_write
from cnn_invariance.workflow import costs
from cnn_invariance.workflow.plan import Plan
from cnn_invariance.workflow.products import Products

DEPARTURES = "What differs from the paper"
"""The section of README.md that is shown."""


def write(plan: Plan, path: Path) -> None:
    """Write the page of a preset, whole or not at all.

    Errors: InputError for a figure, table or result that is missing or damaged.
    """
    text = html(plan)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def html(plan: Plan) -> str:
    """The page of a preset; see `write`."""
    frame = evidence.read(parts.there(Products(plan).claims[0]))
    statements = evidence.statements(frame, plan.study.datasets)
    sections = parts.sections(plan, statements)
    tables, pictures = parts.verification(plan)
    style, script = _asset("page.css"), _asset("page.js")
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            study=plan.study,
            cells=len(plan.cells),
            policy=_policy(style, script),
            style=style,
            script=script,
            overview=parts.picture(plan.folders.figure_folder(plan.study.name, "overview"), "overview"),
            sections=sections,
            statements=statements,
            claims_csv=parts.uri("text/csv", Products(plan).claims[0].read_bytes()),
            verdicts=evidence.count(finding for one in statements for finding in one.findings),
            rule=claims.caption(frame, plan.study.name).partition(". ")[2],
            measures={name: requests.describe(name) for name in _measures(plan)},
            departures=markdown.of_readme(DEPARTURES),
            departures_by_dataset=captions.counted(section.shared for section in sections),
            verification=tables,
            verification_pictures=pictures,
            verification_shared=captions.Shared.of(
                [*(one.caption for one in tables), *(one.caption for one in pictures)]
            ),
            costs=parts.table(plan.folders.table_folder(plan.study.name), "costs"),
            made=made.of(plan),
            machine=made.MACHINE,
            preset_name=plan.study.path.name,
            preset_text=plan.study.path.read_text(encoding="utf-8"),
        )
    )


def _measures(plan: Plan) -> list[str]:
    """The measures of the preset by their names, each once, whatever its options."""
    return list(dict.fromkeys(requests.check(request).name for request in plan.study.measures))


def _environment() -> Environment:
    """Everything is escaped that is not marked as HTML, and a name that is not there is an error."""
    environment = Environment(
        loader=PackageLoader("cnn_invariance.report.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "GROUPS": (*parts.GROUPS, parts.FURTHER),
        "PUBLISHED": parts.PUBLISHED,
        "anchor": made.anchor,
        "count": evidence.count,
        "readable": costs.readable,
    }
    return environment


def _asset(name: str) -> Markup:
    return Markup((files("cnn_invariance.report.page") / name).read_text(encoding="utf-8"))


def _policy(style: str, script: str) -> str:
    """Nothing but what is in the page: this style, this script, and pictures in it. No request can leave it."""
    allowed = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in allowed.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
