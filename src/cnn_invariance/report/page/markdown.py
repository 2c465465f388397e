"""Markdown as HTML, without anything that could reach outside the page."""

from functools import cache
from importlib.metadata import metadata
from pathlib import Path

from markdown_it import MarkdownIt
from markupsafe import Markup

from cnn_invariance.errors import InputError

RIGHT = "text-align:right"


@cache
def _parser() -> MarkdownIt:
    """CommonMark with tables; raw HTML, links and pictures stay text."""
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "image", "autolink"])


def html(text: str) -> Markup:
    """A text as HTML. Columns of numbers have the class ``number``, as the page allows no style of its own.

    >>> html("*a* <b>")
    Markup('<p><em>a</em> &lt;b&gt;</p>\\n')
    """
    parser = _parser()
    tokens = parser.parse(text)
    for token in tokens:
        style = token.attrs.pop("style", None)
        if style == RIGHT:
            token.attrSet("class", "number")
        if token.type == "th_open":
            token.attrSet("scope", "col")
    return Markup(parser.renderer.render(tokens, parser.options, {}))


def table(text: str) -> tuple[str, Markup]:
    """A table with its caption, as `plotting.tables.markdown` writes them: the caption, and the table as HTML.

    >>> table("About it.\\n\\n| a |\\n| ---: |\\n| 1 |\\n")[0]
    'About it.'
    """
    caption, _, rest = text.partition("\n\n")
    return caption, html(rest)


def rows(text: str) -> int:
    """How many rows a table of `table` has below its header."""
    return max(0, sum(line.startswith("|") for line in text.splitlines()) - 2)


def of_readme(heading: str) -> Markup:
    """A section of the README, without its heading (InputError if there is none)."""
    _, found, rest = readme().partition(f"\n## {heading}\n")
    if not found:
        raise InputError(f"README.md has no section {heading!r}, which the report shows; restore it")
    return html(rest.partition("\n## ")[0])


def readme() -> str:
    """README.md of the checkout, or of the installed package."""
    path = Path(__file__).parents[4] / "README.md"
    return path.read_text(encoding="utf-8") if path.is_file() else str(metadata("cnn-invariance").json["description"])
