"""What users add: found by name in a folder of the package, or in a file or module of their own."""
