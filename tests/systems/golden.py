"""The golden step: one step of the small system in numbers. As a program, under the settings of `experiments.train`.

python -m tests.systems.golden
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).resolve().parents[1] / "golden" / "train_step.json"


def numbers(system: Any, state: Any, gradients: Any, batch: Any) -> dict[str, float]:
    """Each metric, and the norms of gradient and update by part of the network."""
    import jax
    import numpy as np

    grads, (metrics, _) = gradients(state, batch)
    updates, _ = jax.jit(system.tx.update)(grads, state.opt_state, state.params)
    found = {
        name: float(value[0] / max(value[1], 1) if isinstance(value, tuple) else value)
        for name, value in sorted(metrics.items())
    }
    for name, tree in (("gradient", grads), ("update", updates)):
        for part, leaves in sorted(tree.items()):
            norm = np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(leaves)))
            found[f"{name} of {part}, norm"] = float(norm)
    return found


def check(found: dict[str, float]) -> None:
    """That these are the numbers kept in `PATH`."""
    golden = json.loads(PATH.read_text())
    assert found.keys() == golden.keys()
    for name, value in golden.items():
        assert found[name] == pytest.approx(value, rel=2e-3, abs=1e-5), f"{name}: see test_golden_train_step"


def main() -> None:
    from o2t_jax.commands import _cpu

    _cpu.prepare("on")
    import jax

    from o2t_jax.models import ops
    from o2t_jax.training.step import make_gradients
    from tests.systems.small import small_batch, small_state, small_system

    _cpu.start_devices("on", "cpu")
    system = small_system()
    found = numbers(system, small_state(system), jax.jit(make_gradients(system.loss)), small_batch())
    json.dump({"form": ops.form(), "numbers": found}, sys.stdout)


if __name__ == "__main__":
    main()
