"""Rendered clips for the audit: lawful ones, and ones whose physics was tampered with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from jaxtyping import Float, UInt8

SIZE, FPS, SWING_FPS = 256, 60.0, 30.0  # px, frames/s of flights, and of swings
FLOOR = 228.0  # px down, where the ball's centre bounces
KINDS = ("bounce", "throw", "pendulum", "spring")
TAMPERS = ("g halved", "e above 1", "time stretched")
TILT = np.radians(3.0)  # standard deviation of the tilt of the plane of motion, about either axis
JITTER, BIAS = 0.06, 0.13  # px along an axis: the tracker's errors on such clips, of each sighting and of the place
BIAS_LENGTHS = (15.0, 60.0)  # px, wavelengths of the errors that the background makes
Path = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """`kind` of motion; `tamper`, what was done to it (empty: lawful); `times` s and `points` px (right, down) of the
    ball; `radius` px; `seed` of its picture."""

    kind: str
    tamper: str
    times: Float[np.ndarray, " T"]
    points: Float[np.ndarray, "T 2"]
    radius: float
    seed: int

    def frames(self) -> Iterator[tuple[float, UInt8[np.ndarray, "H W 3"]]]:
        """An anti-aliased ball before a background with texture, noise of 1 to 5 grey levels."""
        rng = np.random.default_rng(self.seed)
        rough = rng.uniform(70, 150, (24, 24, 3)).astype(np.float32)
        still = cv2.resize(rough, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        colour = rng.choice(np.array([[235, 200, 50], [225, 60, 50], [40, 70, 225], [245, 245, 240]]))
        noise = rng.uniform(1, 5)
        # Noise is cut from a larger field at a new place each time: drawing it anew takes longer than the tracker.
        field = noise * rng.standard_normal((2 * SIZE, 2 * SIZE, 3), np.float32)
        reach = int(self.radius) + 2
        for time, (cx, cy) in zip(self.times, self.points, strict=True):
            row, column = rng.integers(0, SIZE, 2)
            picture = still + field[row : row + SIZE, column : column + SIZE]
            y, x = np.ogrid[round(cy) - reach : round(cy) + reach + 1, round(cx) - reach : round(cx) + reach + 1]
            cover = np.clip(self.radius + 0.5 - np.hypot(x - cx, y - cy), 0, 1)[..., None]
            part = picture[y[0, 0] : y[-1, 0] + 1, x[0, 0] : x[0, -1] + 1]
            part += (colour - still[y[0, 0] : y[-1, 0] + 1, x[0, 0] : x[0, -1] + 1]) * cover
            yield float(time), np.clip(picture, 0, 255).round().astype(np.uint8)

    def noisy(self) -> Float[np.ndarray, "T 2"]:
        """The points with errors as the tracker's, without rendering: jitter, and a bias that goes with the place."""
        rng = np.random.default_rng(self.seed)
        count = 12
        turn, length = rng.uniform(0, 2 * np.pi, count), rng.uniform(*BIAS_LENGTHS, count)
        waves = 2 * np.pi / length * np.stack([np.cos(turn), np.sin(turn)])
        phase = self.points @ waves + rng.uniform(0, 2 * np.pi, count)
        signs = rng.choice([-1.0, 1.0], (2, count)) * BIAS * np.sqrt(2 / count)
        bias = np.stack([np.sin(phase) @ signs[0], np.cos(phase) @ signs[1]], axis=1)
        return self.points + bias + rng.normal(0, JITTER, self.points.shape)


def clip_of(number: int, tampered: bool, seed: int) -> Clip:
    """Clip `number` of a set: kinds, and where `tampered` the ways of it, take turns."""
    rng = np.random.default_rng([seed, number, int(tampered)])
    tamper = TAMPERS[number % 3] if tampered else ""
    kind = KINDS[number % 4] if tamper in ("", "time stretched") else "bounce"
    if tamper == "time stretched":
        kind = KINDS[(number // 3) % 4]
    if tamper == "g halved" and (number // 3) % 2:
        kind = "throw"
    path, span = {"bounce": _bounce, "throw": _throw, "pendulum": _pendulum, "spring": _spring}[kind](rng, tamper)
    fps = FPS if kind in ("bounce", "throw") else SWING_FPS
    times = np.arange(int(span * fps)) / fps
    clock = times
    if tamper == "time stretched":
        clock = _stretched(times, rng)
    points = _seen(path(clock), rng)
    inside = np.all((points > 12) & (points < SIZE - 13), axis=1)
    last = len(times) if inside.all() else int(np.argmin(inside))
    return Clip(kind, tamper, times[:last], points[:last], rng.uniform(5, 9), int(rng.integers(2**31)))


def _stretched(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The middle of the clip plays 1.4 to 2.5 times slower."""
    factor = rng.uniform(1.4, 2.5)
    begin, end = rng.uniform(0.25, 0.4) * times[-1], rng.uniform(0.6, 0.75) * times[-1]
    rate = np.where((times >= begin) & (times < end), 1 / factor, 1.0)
    return np.concatenate([[0.0], np.cumsum(rate[:-1] * np.diff(times))])


def _seen(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A tilted plane by a camera whose focal length is one picture width."""
    away = points - SIZE / 2
    b = np.tan(np.clip(rng.normal(0, TILT, 2), -2 * TILT, 2 * TILT)) / SIZE
    return SIZE / 2 + away / (1 + away @ b)[:, None]


def _flights(start: tuple[float, float, float, float], g: list[tuple[float, float]], e: Callable[[int], float]) -> Path:
    """Flights over the floor from (x, y, vx, vy), px and s, y up from the floor; `g`, from which time on which."""
    t, (x, y, vx, vy), bounces = 0.0, start, 0
    pieces = []
    changes = [time for time, _ in g[1:]] + [np.inf]
    for (_, pull), change in zip(g, changes, strict=True):
        while t < min(change, 20.0):
            pieces.append((t, x, y, vx, vy, pull))
            land = t + (vy + np.sqrt(max(vy**2 + 2 * pull * y, 0.0))) / pull
            step = min(land, change) - t
            x, y, vy = x + vx * step, y + vy * step - 0.5 * pull * step**2, vy - pull * step
            t += step
            if land <= change:
                y, vy, bounces = 0.0, -vy * e(bounces), bounces + 1
                if vy < 5:
                    break
    table = np.array(pieces)

    def path(times: np.ndarray) -> np.ndarray:
        at = np.searchsorted(table[:, 0], times, side="right") - 1
        t0, x, y, vx, vy, pull = table[at].T
        s = times - t0
        return np.stack([x + vx * s, FLOOR - (y + vy * s - 0.5 * pull * s**2)], axis=1)

    return path


def _bounce(rng: np.random.Generator, tamper: str) -> tuple[Path, float]:
    g, height, e = rng.uniform(500, 1500), rng.uniform(110, 180), rng.uniform(0.65, 0.92)
    drop = np.sqrt(2 * height / g)
    flights = drop * np.cumsum([1, 2 * e, 2 * e**2, 2 * e**3, 2 * e**4])
    count = int(rng.integers(2, 4))
    while count > 1 and 2 * drop * e**count < 14 / FPS:
        count -= 1
    span = flights[count] - rng.uniform(0, 0.3) * (flights[count] - flights[count - 1])
    speed = rng.uniform(0.3, 1.0) * 180 / span
    when = flights[0] + rng.uniform(0.35, 0.65) * (flights[1] - flights[0])
    pulls = [(0.0, g), (when, g / 2)] if tamper == "g halved" else [(0.0, g)]
    wrong = int(rng.integers(0, count)) if tamper == "e above 1" else -1
    more = min(rng.uniform(1.1, 1.4), np.sqrt(190 / (height * e ** (2 * max(wrong, 0)))))
    if tamper == "e above 1":
        more = max(more, 1.1)
    return _flights((30.0, height, speed, 0.0), pulls, lambda n: more if n == wrong else e), span


def _throw(rng: np.random.Generator, tamper: str) -> tuple[Path, float]:
    span, rise = rng.uniform(0.7, 1.3), rng.uniform(100, 170)
    g = 8 * rise / span**2
    speed = rng.uniform(0.4, 1.0) * 190 / span
    pulls = [(0.0, g), (rng.uniform(0.35, 0.65) * span, g / 2)] if tamper == "g halved" else [(0.0, g)]
    return _flights((30.0, 15.0, speed, g * span / 2), pulls, lambda n: 0.5), 0.97 * span


def _pendulum(rng: np.random.Generator, tamper: str) -> tuple[Path, float]:
    length, period = rng.uniform(100, 170), rng.uniform(0.8, 1.6)
    most = min(np.radians(70), np.arcsin(min(1.0, 100 / length)))
    start, c = rng.uniform(np.radians(15), most), rng.uniform(0, 0.25)
    w2 = (2 * np.pi / period) ** 2
    span = rng.uniform(2.0, 3.5) * period

    def path(times: np.ndarray) -> np.ndarray:
        from scipy.integrate import solve_ivp

        def rate(_: float, s: np.ndarray) -> list[float]:
            return [s[1], -w2 * np.sin(s[0]) - c * s[1]]

        angle = solve_ivp(rate, (0, times[-1] + 1e-9), [start, 0.0], t_eval=times, rtol=1e-8, atol=1e-8).y[0]
        return np.stack([128 + length * np.sin(angle), 40 + length * np.cos(angle)], axis=1)

    return path, span


def _spring(rng: np.random.Generator, tamper: str) -> tuple[Path, float]:
    size, period, c = rng.uniform(30, 90), rng.uniform(0.6, 1.4), rng.uniform(0, 0.5)
    w, phase, turn = 2 * np.pi / period, rng.uniform(0, 2 * np.pi), rng.uniform(0, np.pi)
    along = np.array([np.cos(turn), np.sin(turn)])
    span = rng.uniform(2.0, 3.5) * period

    def path(times: np.ndarray) -> np.ndarray:
        swing = size * np.exp(-c * times / 2) * np.cos(np.sqrt(w**2 - c**2 / 4) * times + phase)
        return 128 + swing[:, None] * along

    return path, span


__all__ = ["KINDS", "SIZE", "TAMPERS", "Clip", "clip_of"]
