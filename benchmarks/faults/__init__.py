"""Faults on purpose: killed processes, damaged files, full disks. See `python -m benchmarks.faults`."""
