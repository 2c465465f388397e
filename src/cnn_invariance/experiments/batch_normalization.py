"""SimpleConv without and with batch normalisation."""

from cnn_invariance.experiments.framework.variants import VariantExperiment, changes


class BatchNormalization(VariantExperiment):
    """Without batch normalisation against with it."""

    question = "Does batch normalisation change the structure of invariance?"
    part, argument = "batch normalisation", "batch_norm"
    variants = {"without": False, "with": True}
    claims = changes(part)
