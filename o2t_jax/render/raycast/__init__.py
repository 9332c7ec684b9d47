"""The renderer for accelerators: ray-casting of scenes in JAX."""
