"""SimpleConv with strided convolutions in the place of max pooling."""

from cnn_invariance.experiments.framework.variants import VariantExperiment, changes


class MaxPooling(VariantExperiment):
    """Max pooling against strided convolutions."""

    question = "Does max pooling change the structure of invariance?"
    part, argument = "the pooling", "pooling"
    variants = {"max pooling": "max", "strided convolution": "stride"}
    claims = changes(part)
