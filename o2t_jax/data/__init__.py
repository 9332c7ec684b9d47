"""Samples as pure functions of (seed, index), the curriculum, the replay ring, and batches on the device."""
