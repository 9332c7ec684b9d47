"""Dreamt pictures, codes and latents of system `video`, judged."""
