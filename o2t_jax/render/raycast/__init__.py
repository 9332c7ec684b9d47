"""The device's renderer: scenes cast by rays in JAX."""
