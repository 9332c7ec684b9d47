"""Gravity laws, the room, and simulated worlds; numpy for the renderer, jax.numpy for whoever differentiates."""
