"""Every parser of files under random damage; see `benchmarks.fuzz.__main__`."""
