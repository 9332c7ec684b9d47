"""Discs in a room: collisions at their exact times (docs/discs.md)."""
