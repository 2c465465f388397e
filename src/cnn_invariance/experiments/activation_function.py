"""SimpleConv with other activation functions."""

from cnn_invariance.experiments.framework.variants import VariantExperiment, changes


class ActivationFunction(VariantExperiment):
    """ELU against ReLU, PReLU, tanh and the sigmoid, as in the author's code."""

    question = "Does the activation function change the structure of invariance?"
    part, argument = "the activation function", "activation"
    variants = {"ELU": "elu", "ReLU": "relu", "PReLU": "prelu", "tanh": "tanh", "sigmoid": "sigmoid"}
    claims = changes(part)
