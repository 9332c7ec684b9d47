"""Devices and the form of the networks' operations that is fast on them, chosen together, once per program."""

from __future__ import annotations

import jax

from o2t_jax.models import ops
from o2t_jax.training import parallel


def start_devices(
    device: str = "auto",
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    tuned: bool = True,
) -> None:
    """`training.parallel.start_devices`, then `models.ops.use` for the device found; before any other use of JAX.

    Without `tuned` the plain form is used on every platform.
    """
    parallel.start_devices(device, coordinator, num_processes, process_id)
    ops.use(ops.form_for(jax.default_backend()) if tuned else "plain")
