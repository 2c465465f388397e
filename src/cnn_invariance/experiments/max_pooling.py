"""SimpleConv with strided convolutions in the place of max pooling."""

from cnn_invariance.experiments.framework.variants import Options as Options
from cnn_invariance.experiments.framework.variants import Part

QUESTION = "Does max pooling change the structure of invariance?"

PART = Part(
    experiment="max_pooling",
    name="the pooling",
    question=QUESTION,
    argument="pooling",
    values={"max pooling": "max", "strided convolution": "stride"},
)
CLAIMS = (PART.claim,)

cells = PART.cells
outputs = PART.outputs
draw = PART.draw
findings = PART.findings
