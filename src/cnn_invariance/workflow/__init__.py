"""The study beside its files: what is finished, what is missing, and the commands that compute it."""
