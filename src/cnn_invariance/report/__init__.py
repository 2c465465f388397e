"""What the study found: claims, the overview figure, and the page."""
