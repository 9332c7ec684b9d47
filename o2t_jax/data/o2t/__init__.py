"""Samples of the O2T system: five pictures of a thrown ball, by stereo pairs or from whole flights."""
