"""Published numbers: data, with their source."""
