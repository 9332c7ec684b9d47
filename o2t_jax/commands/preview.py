"""Shows a world as a film: python -m experiments.preview --env=pendulum --out=FILE.gif [--steps=100 --dt=0.1 --size=64]

Random actions from a random start, one picture a step, played at the speed of the motion (a GIF at most 50 pictures
a second). FILE.gif, FILE.mp4, or FILE.png: up to eight pictures in a row. --params=length=0.8,damping=0 sets constants
of the world; --still leaves it without actions.

    python -m experiments.preview --config=experiments/configs/discs/cpu.py --out=FILE.gif --size=240
    python -m experiments.preview --config=cpu --config.scene=NAME --out=FILE.png --steps=30 --size=64

show a scene of the world of a config, as its models are trained on; --config.env.room=L and other fields change it. Of
a scene of O2T it is what camera 1 of training sample --seed sees: at --size=64, as the network of config cpu sees it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from o2t_jax.commands import _cli, _cpu
from o2t_jax.config import unknown_choice
from o2t_jax.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

ENDINGS = (".gif", ".mp4", ".png")
MOST_BYTES = 2**30  # of all pictures together
_LEAST_SIZE, _LARGEST_SIZE = 8, 4096  # px
_MOST_IN_A_ROW = 8


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    with_config = bool(_cli.config_overrides(list(sys.argv[1:] if argv is None else argv)))
    return _cli.run(show_world, argv, doc=__doc__ or "", define=_define, with_config=with_config)


def show_world(arguments: _cli.Arguments) -> int:
    """Simulates, draws and writes the file; prints its name."""
    values = arguments.flags
    out = _cli.out_file(values.out, ENDINGS)
    if not _LEAST_SIZE <= values.size <= _LARGEST_SIZE:
        raise UsageError(f"--size={values.size} px is outside the range: {_LEAST_SIZE} to {_LARGEST_SIZE}")
    if values.steps < 1 or (values.steps + 1) * values.size**2 * 3 > MOST_BYTES:
        most = MOST_BYTES // (3 * values.size**2) - 1
        raise UsageError(f"--steps={values.steps} is outside the range: 1 to {most} at --size={values.size}")
    if not 0 <= values.seed < 2**32:
        raise UsageError(f"--seed={values.seed} is outside the range: 0 to {2**32 - 1}")
    frames, fps = _of_env(arguments) if arguments.config is None else _of_config(arguments)
    _write(out, frames, fps)
    print(f"preview: {out}")
    return 0


def _of_env(arguments: _cli.Arguments) -> tuple[np.ndarray, float]:
    """Pictures of a world that is pushed, and their number in a second."""
    from o2t_jax.physics.environment import checked_dt
    from o2t_jax.physics.envs import ENVIRONMENTS, get_environment

    values = arguments.flags
    numbers = _numbers(values.params)
    if not values.env:
        raise UsageError(f"--env is missing: give a world, one of {', '.join(ENVIRONMENTS)}")
    if values.env not in ENVIRONMENTS:
        raise UsageError(unknown_choice("--env", values.env, ENVIRONMENTS))
    env = get_environment(values.env, **numbers)
    dt = checked_dt(env, values.dt)
    _cpu.start_devices(arguments.cpu_tuning, "cpu")
    return frames_of(env, values.seed, values.steps, dt, values.size, values.still), 1.0 / dt


def _of_config(arguments: _cli.Arguments) -> tuple[np.ndarray, float]:
    """The same of a config's world, which its system shows."""
    from o2t_jax.systems.base import build_system

    values, config = arguments.flags, arguments.config
    assert config is not None
    for name in ("env", "dt", "params", "still"):
        if values[name].present:
            raise UsageError(f"--{name} belongs to worlds without a config: leave it out, or --config")
    _cpu.start_devices(arguments.cpu_tuning, "cpu")
    preview = getattr(build_system(config), "preview", None)
    if preview is None:
        cure = "give one of o2t, discs or video, or --env=WORLD"
        raise UsageError(f"a config of system {config.system!r} has no preview: {cure}")
    return preview(values.seed, values.steps, values.size)


def frames_of(env: Any, seed: int, steps: int, dt: float, size: int, still: bool = False) -> np.ndarray:
    """uint8 [steps + 1, size, size, 3]: the start, then the world after each step of `dt` s.

    Args: `env`, an `Environment`; `still`, without actions. The start, the parameters and the actions follow from
    `seed`.
    """
    import jax
    import numpy as np

    from o2t_jax.physics.environment import idle, simulate
    from o2t_jax.render.planar import draw, to_bytes

    @jax.jit
    def film() -> jax.Array:
        of_params, of_start, of_actions = jax.random.split(jax.random.key(np.uint32(seed)), 3)
        params = env.draw_params(of_params)
        actions = idle(env, steps) if still else env.actions.sample(of_actions, (steps,))
        track = simulate(env, env.reset(of_start, params), actions, dt, params)
        return jax.lax.map(lambda state: to_bytes(draw(env.draw(state, params), size, size)), track)

    return np.asarray(film())


def _write(out: Path, frames: np.ndarray, fps: float) -> None:
    import numpy as np

    from o2t_jax import media

    if out.suffix == ".png":
        shown = np.linspace(0, len(frames) - 1, min(len(frames), _MOST_IN_A_ROW)).round().astype(int)
        data = media.png(np.concatenate(list(frames[shown]), axis=1))
    elif out.suffix == ".gif":
        data = media.gif(frames, fps)
    else:
        data, kind = media.film(frames, fps)
        if kind != "mp4":
            raise UsageError(f"--out={out}: no H.264 encoder starts on this machine; give a .gif file")
    partial = out.with_name(f".{out.name}.partial")  # an interrupted write leaves the old file
    partial.write_bytes(data)
    os.replace(partial, out)


def _numbers(text: str) -> dict[str, float]:
    """ "length=0.8,damping=0" by name. Raises: UsageError for anything that is no name=number."""
    found = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = item.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            raise UsageError(f"--params={text}: {item!r} is not name=number, such as length=0.8") from None
    return found


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("env", None, "the world: pendulum, three_body, ... (docs/worlds.md)", flag_values=values)
    flags.DEFINE_string("out", None, "the file: .gif, .mp4 or .png", flag_values=values)
    flags.DEFINE_integer("steps", 100, "steps; one picture more", flag_values=values)
    flags.DEFINE_float("dt", 0.1, "length of a step, s", flag_values=values)
    flags.DEFINE_integer("size", 64, "height of a picture, px, and its width if there is no config", flag_values=values)
    flags.DEFINE_integer("seed", 0, "of the start, the parameters and the actions", flag_values=values)
    flags.DEFINE_string("params", "", "constants of the world: length=0.8,damping=0", flag_values=values)
    flags.DEFINE_boolean("still", False, "no actions", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
