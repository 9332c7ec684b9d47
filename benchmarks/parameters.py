"""Parameters by part of the network: python -m benchmarks.parameters [--bases=8,16,32,64] [--size=512] [--gauge=camera]

Counted from the model's shapes, without computation.
"""

from __future__ import annotations

import sys
from typing import Any

import jax

from benchmarks.common import FlagParser, at_least_1, each_at_least_1, finish
from o2t_jax.commands import _config
from o2t_jax.systems.o2t import build
from o2t_jax.training.state import tree_size

COLUMNS = {"base_ch": "d", "size_px": "d", "gauge": ""}


def count(base: int, size: int, gauge: str) -> dict[str, Any]:
    """One row: parameters by part, and `all` of them."""
    _, config = _config.load_config("cpu" if gauge == "camera" else "seed_cpu")
    config.update({"base_ch": base, "render_size": size})
    params = jax.eval_shape(build(config).init, jax.random.PRNGKey(0))[0]
    parts = {name: tree_size(part) for name, part in params.items()}
    return {"base_ch": base, "size_px": size, "gauge": gauge, **parts, "all": sum(parts.values())}


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = FlagParser("parameters", __doc__)
    parser.add_argument("--bases", type=each_at_least_1, default="8,16,32,64", help="base widths, separated by commas")
    parser.add_argument("--size", type=at_least_1, default=512, help="size of the pictures, px")
    parser.add_argument("--gauge", choices=("camera", "free"), default="camera")
    parser.add_json()
    arguments = parser.parse_args(argv)
    rows = [count(base, arguments.size, arguments.gauge) for base in arguments.bases]
    finish(rows, COLUMNS | {name: ",d" for name in rows[0] if name not in COLUMNS}, arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
