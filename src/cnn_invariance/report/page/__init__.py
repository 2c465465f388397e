"""The study as one HTML page that needs nothing else: no network, no other file. No torch.

`write` makes the page of a plan from what a run left: figures, tables and claims as they are on disk, each with a JSON
record of what it says, and the provenance of each result. The same files give the same bytes: the only dates are those
of the results.

`contents` reads the plan and its files; what it returns is all that the templates show. The page has a template for
each section, in the order of ``page.html.j2``, one style sheet and one script. Jinja and markdown-it put it together;
both are installed anyway, for Snakemake and for Rich. Snakemake's own report was the alternative: an application to
browse the outputs of rules by category, blank without JavaScript. This is a text to read from top to bottom, on a phone
and on paper too.
"""

from cnn_invariance.report.page.rendering import write

__all__ = ["write"]
