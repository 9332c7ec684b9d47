"""Measures what a model learnt: `o2t/` its law and the pictures it predicts. `writers/` show the results."""
