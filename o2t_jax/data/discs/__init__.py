"""Scenes of discs, made on the fly or read from a stored set, and the windows that models are trained on."""
