"""The nightly matrix: cells of specs, run one by one, and a file for what became of each."""
