"""SimpleConv without and with batch normalisation."""

from cnn_invariance.experiments.framework.variants import Options as Options
from cnn_invariance.experiments.framework.variants import Part

QUESTION = "Does batch normalisation change the structure of invariance?"

PART = Part(
    experiment="batch_normalization",
    name="batch normalisation",
    question=QUESTION,
    argument="batch_norm",
    values={"without": False, "with": True},
)
CLAIMS = (PART.claim,)

cells = PART.cells
outputs = PART.outputs
draw = PART.draw
findings = PART.findings
