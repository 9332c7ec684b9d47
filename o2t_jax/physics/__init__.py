"""Gravity laws, the room, and simulated worlds; numpy for the renderer, jax.numpy where gradients are needed."""
