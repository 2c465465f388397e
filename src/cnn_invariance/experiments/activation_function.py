"""SimpleConv with other activation functions."""

from cnn_invariance.experiments.framework.variants import VariantExperiment, changes


class ActivationFunction(VariantExperiment):
    """ELU against ReLU, PReLU and tanh."""

    question = "Does the activation function change the structure of invariance?"
    part, argument = "the activation function", "activation"
    variants = {"ELU": "elu", "ReLU": "relu", "PReLU": "prelu", "tanh": "tanh"}
    claims = changes(part)
