"""Figures of BENCHMARKS.md measured again: see `python -m benchmarks.reproduce`."""
