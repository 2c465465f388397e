"""The page as one text: its contents, its style, its script, and the policy that lets nothing else in."""

import base64
import hashlib
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from cnn_invariance import inspection_page
from cnn_invariance.report.page import claim_views, origins, shared_caption
from cnn_invariance.report.page.contents import Contents, read_contents
from cnn_invariance.storage.files import write_whole
from cnn_invariance.workflow import costs
from cnn_invariance.workflow.plan import Plan

SCRIPTS = ("state.js", "claims.js", "search.js", "links.js", "large.js", "downloads.js", "explorer.js")
"""The parts of the script, in their order: each but the first is a block with names of its own."""


def write(plan: Plan, path: Path) -> None:
    """Write the page of a preset, whole or not at all.

    Errors: InputError for a figure, table or result that is missing or damaged.
    """
    text = html(read_contents(plan))
    write_whole(path, text)


def html(contents: Contents) -> str:
    """The page that shows these contents."""
    style = Markup(contents.definitions.letters.style) + _asset("page.css")
    script = Markup('"use strict";\n') + Markup("").join(map(_asset, SCRIPTS))
    template = _environment().get_template("page.html.j2")
    return template.render(page=contents, policy=_policy(style, script), style=style, script=script)


def _environment() -> Environment:
    """Everything is escaped that is not marked as HTML, and a name that is not there is an error."""
    environment = inspection_page.environment("cnn_invariance.report.page")
    environment.globals |= {
        "anchor": origins.anchor,
        "count_verdicts": claim_views.count_verdicts,
        "readable": costs.readable,
        "sentences": shared_caption.sentences,
    }
    return environment


def _asset(name: str) -> Markup:
    return Markup((files("cnn_invariance.report.page") / name).read_text(encoding="utf-8"))


def _policy(style: str, script: str) -> str:
    """Nothing but what is in the page: this style, this script, its pictures and fonts. No request can leave it."""
    allowed = {
        "default-src": "'none'",
        "img-src": "data:",
        "font-src": "data:",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in allowed.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
