"""g from two rendered views of one throw: lenses with distortion, an OpenCV calibration file, H.264.

python -m experiments.studies.recording_cameras --out=DIR [--n=5] [--seed=1]

Draws `n` throws, each with its own cameras, into folders of --out, measures each by `experiments.recording
--calibration`, and prints the errors of g. Finished ones are skipped. About 10 s each on two free cores.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from absl import flags

from o2t_jax import media
from o2t_jax.commands import _cli
from o2t_jax.data.recordings.calibration import Camera
from o2t_jax.errors import UsageError

WIDTH, HEIGHT, FPS = 480, 360, 60.0
RADIUS, G = 0.04, 9.81  # m, m/s²


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(study, argv, doc=__doc__ or "", define=_define, with_config=False)


def study(arguments: _cli.Arguments) -> int:
    """Draws and measures what is not done yet, then prints all."""
    from o2t_jax.commands import recording

    values = arguments.flags
    out = _cli.out_folder(values, "the results")
    lines, errors, held = [], [], 0
    for number in range(values.n):
        folder = out / f"throw_{values.seed}_{number}"
        result = folder / "result" / "result.json"
        if not result.exists():
            command = draw(folder, values.seed, number)
            if recording.main([*command, f"--out={folder / 'result'}"]):
                raise UsageError(f"{folder} could not be measured")
        g = json.loads(result.read_text())["parameters"]["g"]
        errors.append(100 * (g["value"] / G - 1))
        held += g["low"] <= G <= g["high"]
        lines.append(f"{folder.name}: g {g['value']:.4f} ({g['low']:.4f} to {g['high']:.4f}) m/s²: {errors[-1]:+.3f} %")
    largest = max(map(abs, errors))
    print("\n".join(lines))
    print(f"largest error {largest:.3f} %; {held} of {values.n} intervals hold {G} m/s²")
    return 0


def cameras(rng: np.random.Generator) -> tuple[Camera, Camera]:
    """The first one is the world's axes (y down, m); the second one looks at the same place from about 1.5 m aside."""
    found = []
    for number in range(2):
        focal = rng.uniform(480, 540)
        middle = np.array([WIDTH / 2, HEIGHT / 2]) + rng.normal(0, 5, 2)
        matrix = np.array([[focal, 0, middle[0]], [0, focal * rng.uniform(0.995, 1.005), middle[1]], [0, 0, 1]])
        bent = np.array([rng.uniform(-0.3, -0.1), rng.uniform(0.0, 0.1), *rng.normal(0, 1e-3, 2), 0.0])
        turn, shift = np.eye(3), np.zeros(3)
        if number:
            axis = np.array([rng.normal(0, 0.02), rng.uniform(0.4, 0.6), rng.normal(0, 0.02)])
            turn = np.array(cv2.Rodrigues(axis)[0])
            # At 3 m before the first camera, both look at the same place.
            shift = np.array([0.0, 0.0, 3.0]) - turn @ np.array([0.0, 0.0, 3.0])
        found.append(Camera(matrix, bent, turn, shift, (WIDTH, HEIGHT)))
    return found[0], found[1]


def draw(folder: Path, seed: int = 1, number: int = 0, frames: int = 45) -> list[str]:
    """Two films and `pair.yml` of one throw, in `folder`; returns the command's flags."""
    rng = np.random.default_rng([seed, number])
    pair = cameras(rng)
    t = np.arange(frames) / FPS
    across, away = rng.uniform(1.6, 2.0), rng.uniform(-0.5, 0.5)
    up = 0.5 * G * t[-1] * rng.uniform(0.93, 1.0)
    ball = np.stack([across * (t - t[-1] / 2), 0.4 - up * t + 0.5 * G * t**2, 2.95 + away * (t - t[-1] / 2)], axis=1)
    folder.mkdir(parents=True, exist_ok=True)
    flags_ = []
    for name, camera in zip(("left", "right"), pair, strict=True):
        pictures = np.stack(list(_pictures(ball, camera, rng)))
        data, kind = media.film(pictures, FPS)
        path = folder / f"{name}.{kind}"
        path.write_bytes(data)
        flags_.append(f"--video={path}")
    write_pair(folder / "pair.yml", *pair)
    return [*flags_, f"--calibration={folder / 'pair.yml'}"]


def _pictures(ball: np.ndarray, camera: Camera, rng: np.random.Generator):
    rough = rng.uniform(70, 150, (30, 40, 3)).astype(np.float32)
    still = cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    turn = cv2.Rodrigues(camera.turn)[0]
    seen = cv2.projectPoints(ball, turn, camera.shift, camera.matrix, camera.distortion)[0][:, 0]
    depth = (ball @ camera.turn.T + camera.shift)[:, 2]
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for (cx, cy), z in zip(seen, depth, strict=True):
        cover = np.clip(camera.matrix[0, 0] * RADIUS / z + 0.5 - np.hypot(x - cx, y - cy), 0, 1)[..., None]
        picture = still + (np.array([235.0, 190.0, 40.0]) - still) * cover
        yield np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).round().astype(np.uint8)


def write_pair(path: Path, one: Camera, two: Camera) -> None:
    """OpenCV's own file (YAML or XML, by its ending) of a stereo calibration."""
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, value in (("K1", one.matrix), ("D1", one.distortion), ("K2", two.matrix), ("D2", two.distortion)):
        file.write(name, value)
    file.write("R", two.turn)
    file.write("T", two.shift.reshape(3, 1))
    if one.size is not None:
        file.write("image_width", one.size[0])
        file.write("image_height", one.size[1])
    file.release()


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", None, "folder for the films and results", flag_values=values)
    flags.DEFINE_integer("n", 5, "throws", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("seed", 1, "of the throws", lower_bound=0, flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
