"""Measures of described scenes: triples of a caption, and retrieval."""
