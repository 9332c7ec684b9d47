"""Scenes described in words, as physics: what stands in them, where it goes by its relations, and how it moves then."""
