"""SimpleConv with larger kernels."""

from cnn_invariance.experiments.framework.variants import Options as Options
from cnn_invariance.experiments.framework.variants import Part

QUESTION = "Does the size of the kernels change the structure of invariance?"

PART = Part(
    experiment="kernel_size",
    name="the size of the kernels",
    question=QUESTION,
    argument="kernel",
    values={"3 × 3": 3, "5 × 5": 5, "7 × 7": 7},
)
CLAIMS = (PART.claim,)

cells = PART.cells
outputs = PART.outputs
draw = PART.draw
findings = PART.findings
