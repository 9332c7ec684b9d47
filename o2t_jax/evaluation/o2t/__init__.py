"""Measurements of the O2T system: its law, its predictions and the sources of their errors."""
