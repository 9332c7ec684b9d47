"""Networks that read a scene's sentence."""
