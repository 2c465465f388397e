"""How the verdicts of claims are drawn."""

from cnn_invariance.plotting.style import BLUE, VERMILLION, Mark

MARKS = {
    "supported": Mark("o", BLUE, BLUE, 5.0),
    "not supported": Mark("X", VERMILLION, VERMILLION, 5.0),
    "depends on the set": Mark("D", "#8A5A00", "#E69F00", 4.4),
    "undecided": Mark("o", "#8C8C8C", "white", 4.0),
}
