"""Makes the example film of the documents: python -m experiments.example_film --out=examples/throw.mp4

A ball is thrown before a wall on which a stick of half a metre hangs. Gravity is 9.81 m/s^2. The plane of motion is
tilted by 2 degrees and the camera rolled by 0.5; it has noise, exposure, a rolling shutter and H.264 compression
(`o2t_jax/render/effects`). Prints where the stick's ends are. The same bytes on one machine.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np
from absl import flags

from o2t_jax.commands import _cli

SIZE, RATE, SEED = 320, 60.0, 4
GRAVITY, SPEED, ANGLE, DURATION = 9.81, 2.9, 66.0, 0.5  # m/s^2, m/s, deg, s
SCALE, STICK, STICK_AT = 430.0, 0.5, (-0.28, -0.25)  # px/m, m, m right of and above the middle: its lower end
BITS = 2e6  # bit/s


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(make, argv, doc=__doc__ or "", define=_define, with_config=False)


def make(arguments: _cli.Arguments) -> int:
    """Renders and writes the film."""
    from o2t_jax.evaluation.writers.json_file import write_whole

    out = _cli.out_file(arguments.flags.out, (".mp4",))
    data, ends = film()
    write_whole(out, data)
    place = ",".join(f"{x:.1f}" for x in ends.reshape(-1))
    print(f"{out}: {len(data) / 1000:.0f} kB; the stick: --scale={place}:{STICK}")
    return 0


def film() -> tuple[bytes, np.ndarray]:
    """The mp4, and the stick's lower and upper end [2, 2] px (right, down)."""
    import cv2

    from o2t_jax.data.recordings.motions import Motion
    from o2t_jax.data.recordings.rendered import Stage
    from o2t_jax.render.effects.camera import Camera
    from o2t_jax.render.effects.h264 import encode

    rng = np.random.default_rng(SEED)
    tilts, roll = (np.radians(2.0), np.radians(-1.0)), np.radians(0.5)
    radius, colour = 9.0, np.array([235.0, 120.0, 30.0])
    plaster = rng.uniform(120.0, 150.0, (24, 24, 1)).astype(np.float32) * np.array([1.0, 0.97, 0.9], np.float32)
    wall = cv2.resize(plaster, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    launch = SPEED * np.array([np.cos(np.radians(ANGLE)), np.sin(np.radians(ANGLE))])

    def place(t: np.ndarray) -> np.ndarray:
        return launch * t[:, None] - 0.5 * np.array([0.0, GRAVITY]) * t[:, None] ** 2

    def stick(t: np.ndarray) -> np.ndarray:
        return np.array(STICK_AT) + np.array([0.0, STICK]) * t[:, None]

    def stage(motion: Motion, shift: np.ndarray) -> Stage:
        return Stage(motion, SCALE, float(SIZE), tilts, roll, shift, radius, colour, wall)

    marks, _ = stage(Motion("stick", {}, 1.0, stick), np.zeros(2)).seen(np.linspace(0.0, 1.0, 11))
    for number, ends in enumerate(itertools.pairwise(marks)):
        grey = (240.0,) * 3 if number % 2 else (60.0,) * 3
        one, two = (np.rint(8 * end).astype(int).tolist() for end in ends)
        cv2.line(wall, one, two, grey, 4, cv2.LINE_AA, 3)
    thrown = stage(Motion("free flight", {"g": GRAVITY}, DURATION, place), np.array([-0.2, -0.28]))
    times = np.arange(round(DURATION * RATE)) / RATE
    stamps, frames = Camera(exposure=0.2 / RATE, readout=0.4 / RATE, noise=2.0).film(thrown.render, times, (SEED,))
    return encode(frames, stamps, BITS), marks[[0, -1]]


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", None, "the film, an .mp4", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
