"""Finding what users add: by name in a folder of the package, or in a file or module of theirs."""
