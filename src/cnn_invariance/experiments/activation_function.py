"""SimpleConv with other activation functions."""

from cnn_invariance.experiments.framework.variants import Options as Options
from cnn_invariance.experiments.framework.variants import Part

QUESTION = "Does the activation function change the structure of invariance?"

PART = Part(
    experiment="activation_function",
    name="the activation function",
    question=QUESTION,
    argument="activation",
    values={"ELU": "elu", "ReLU": "relu", "PReLU": "prelu", "tanh": "tanh"},
)
CLAIMS = (PART.claim,)

cells = PART.cells
outputs = PART.outputs
draw = PART.draw
findings = PART.findings
