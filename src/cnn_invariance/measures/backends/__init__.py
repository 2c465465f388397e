"""The inner loops of the statistics: C for a CPU, Triton for a GPU, and torch operations for either."""
