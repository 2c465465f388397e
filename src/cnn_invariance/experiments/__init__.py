"""The experiments: one file each, found by file name; see `cnn_invariance.study.experiment` for what a file states."""
