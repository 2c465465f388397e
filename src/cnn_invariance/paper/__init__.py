"""What is known of the study: the sources, point by point, the published numbers, and how ours differ."""
