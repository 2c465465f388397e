"""What experiments are built from."""
