"""Markdown as HTML, without anything that could reach outside the page."""

from functools import cache

from markdown_it import MarkdownIt
from markupsafe import Markup


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
