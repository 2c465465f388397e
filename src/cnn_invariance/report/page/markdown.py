"""Markdown as HTML, without anything that could reach outside the page."""

from functools import cache
from importlib.metadata import metadata
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

from cnn_invariance.errors import InputError


@cache
def _parser() -> MarkdownIt:
    """CommonMark; raw HTML, links and pictures stay text."""
    return MarkdownIt("commonmark", {"html": False}).disable(["link", "image", "autolink"])


def html(text: str) -> Markup:
    """A text as HTML.

    >>> html("*a* <b>")
    Markup('<p><em>a</em> &lt;b&gt;</p>\\n')
    """
    return Markup(_parser().render(text))


def readme_section(heading: str) -> Markup:
    """A section of the README, without its heading (InputError if there is none)."""
    _, found, rest = readme().partition(f"\n## {heading}\n")
    if not found:
        raise InputError(f"README.md has no section {heading!r}, which the report shows; restore it")
    return html(rest.partition("\n## ")[0])


def readme() -> str:
    """README.md of the checkout, or of the installed package."""
    path = Path(__file__).parents[4] / "README.md"
    return path.read_text(encoding="utf-8") if path.is_file() else str(metadata("cnn-invariance").json["description"])
