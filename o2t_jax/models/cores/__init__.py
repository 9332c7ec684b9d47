"""Dynamics cores, one step each, and `unroll`, the one scan that all of them share."""

from o2t_jax.models.cores.unroll import Core, expand, unroll

__all__ = ["Core", "expand", "unroll"]
