"""How Sphinx builds the documentation, `make docs`: from Markdown, without a network, to pages that need none."""

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml
from pygments.lexers.python import PythonLexer
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

project = "cnn_invariance"
author = "the cnn_invariance authors"
copyright = "the cnn_invariance authors; MIT licence"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["tables"]
highlight_language = "none"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signature has them, and docstrings say what they mean
autodoc_preserve_defaults = True
default_role = "literal"  # `name` in a docstring
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = "cnn_invariance"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"

FILE_OUTSIDE = re.compile(r"((?<!!)\[[^]]*\])\(\.\./")


def _visit_inline(translator: Any, node: nodes.Element) -> None:
    translator.body.append(str(latex2mathml.tex2mathml(node.astext())))
    raise nodes.SkipNode


def _visit_block(translator: Any, node: nodes.Element) -> None:
    translator.body.append(f'<div class="math">{latex2mathml.tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def _link_to_files(app: Sphinx, document: str, source: list[str]) -> None:
    source[0] = FILE_OUTSIDE.sub(r"\1(path:../", source[0])


def setup(app: Sphinx) -> None:
    """Formulas are MathML, which browsers show without a script; links to files of the repository download them."""
    app.connect("source-read", _link_to_files)
    app.add_lexer("snakemake", PythonLexer)
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
