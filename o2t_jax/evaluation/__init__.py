"""Measures what a model learnt: its law (`law`) and the pictures it predicts (`prediction`). `writers` show it."""
