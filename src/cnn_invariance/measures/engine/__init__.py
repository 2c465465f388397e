"""The one pass over samples and transformations that computes all measures."""
