"""Statistics that the study needs: of layer profiles, and estimates with their intervals."""
