"""SimpleConv with larger kernels."""

from cnn_invariance.experiments.framework.variants import VariantExperiment, changes


class KernelSize(VariantExperiment):
    """Kernels of 3 x 3 against 5 x 5 and 7 x 7."""

    question = "Does the size of the kernels change the structure of invariance?"
    part, argument = "the size of the kernels", "kernel"
    variants = {"3 × 3": 3, "5 × 5": 5, "7 × 7": 7}
    claims = changes(part)
