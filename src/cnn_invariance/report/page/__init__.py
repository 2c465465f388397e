"""The study as one HTML page that needs nothing else: no network, no other file. No torch.

The page is put together by Jinja from one template, one style sheet and one script in this folder; Markdown is read by
markdown-it. Both libraries are installed anyway, for Snakemake and for Rich. Snakemake's own report was the
alternative: an application to browse the outputs of rules by category, blank without JavaScript. This is a text to
read from top to bottom, on a phone and on paper too.

`write` makes the page of a plan from what a run left: figures, tables and claims as they are on disk, and the
provenance of each result. The same files give the same bytes: the only dates are those of the results.
"""

from cnn_invariance.report.page.render import write

__all__ = ["write"]
