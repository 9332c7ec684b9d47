"""Measures of discs that collide: roll-outs, laws, masses, recorded tracks (docs/discs.md)."""
