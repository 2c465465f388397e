"""Writing files so that they are never incomplete, and their checksums."""
