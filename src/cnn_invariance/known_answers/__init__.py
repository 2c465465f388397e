"""Measures that are themselves measured: on networks of which the answer is known.

`cases` has the networks, `verdicts` the rule, `run` the computation, and `page` the table and the figure. Nothing here
reads a result of the study.
"""
