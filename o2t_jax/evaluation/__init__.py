"""Measures what a model learnt: the law it holds (`law`) and the pictures it predicts (`prediction`, `report`)."""
