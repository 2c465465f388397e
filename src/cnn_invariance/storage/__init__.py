"""Files that are whole or absent, and their checksums."""
