"""The running statistics that measures are made of."""
