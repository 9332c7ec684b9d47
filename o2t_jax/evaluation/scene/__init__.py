"""Measures of described scenes: the tuples of a caption's graph."""
