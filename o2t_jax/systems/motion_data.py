"""The clips of system `motion`: windows of gaits or of recorded clips, with words and a guess of how each goes on."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np

from o2t_jax.config import Config
from o2t_jax.data.motion.gaits import CLASSES, STYLES, MotionSource
from o2t_jax.data.motion.windows import Windows, cut
from o2t_jax.evaluation.motion import rows
from o2t_jax.evaluation.motion.errors import squared
from o2t_jax.models.motion.text import word_numbers
from o2t_jax.physics.motion.skeleton import OURS, STANDING

FAR = 0.6  # m that a class's hips travel on average, from which it counts as moving
HELD_OUT_STRIDES = 3  # between the first frames of two held-out windows of a clip


@dataclasses.dataclass(frozen=True)
class Split:
    """`windows` of a split; the guess `base` [N, T, J, 3] for each, from its first frames and other clips; `words`."""

    windows: Windows
    base: np.ndarray
    words: np.ndarray

    def __len__(self) -> int:
        return len(self.windows)


class MotionData:
    """Windows of a config's clips, each split made once."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.length = config.given + config.horizon
        self.source = None if config.clips else MotionSource(config.seed, self.length)

    @functools.cached_property
    def recorded(self) -> Any:
        """`RecordedMotions`, read at first use; None for gaits. Raises: UsageError where there are none."""
        if not self.config.clips:
            return None
        from o2t_jax.data.motion.recorded import RecordedMotions

        by = "clip" if self.config.held_out == "clips" else "cell"
        return RecordedMotions(Path(self.config.clips), self.length, split_by=by)

    @property
    def classes(self) -> tuple[str, ...]:
        """What `label` counts."""
        return CLASSES if self.recorded is None else self.recorded.classes

    @property
    def styles(self) -> tuple[str, ...]:
        """What `style` counts."""
        return STYLES if self.recorded is None else self.recorded.styles

    @functools.cached_property
    def known(self) -> rows.Known:
        """The training windows, as the rows look into them."""
        windows = self.windows("train")
        return rows.Known(windows.positions, windows.label, windows.style, windows.clip)

    def windows(self, name: str) -> Windows:
        """Windows of "train", "validation" or "test"."""
        return self._windows(name)

    def split(self, name: str) -> Split:
        """Windows of a split with their guesses. A training clip is never its own neighbour."""
        return self._split(name)

    def moving(self) -> list[bool]:
        """Of each class, whether it travels."""
        windows = self.windows("train")
        steps = np.linalg.norm(np.diff(windows.positions[:, :, 0][..., [0, 2]], axis=1), axis=-1)
        way = np.sum(windows.mask[:, 1:] * steps, axis=1)
        return [bool(np.mean(way[windows.label == i]) > FAR) for i in range(len(self.classes))]

    @functools.cache  # noqa: B019 (it lives as long as its process)
    def _windows(self, name: str) -> Windows:
        config = self.config
        if self.recorded is not None:
            chosen = self.recorded.of_split[name]
            clips = [self.recorded.clips[i].positions for i in chosen]
            style = [self.styles.index(self.recorded.clips[i].style) for i in chosen]
            stride = config.stride if name == "train" else HELD_OUT_STRIDES * config.stride
            return cut(clips, self.recorded.labels[chosen], style, config.given, self.length, stride, config.least)
        assert self.source is not None
        counts = {"train": config.n_clips, "validation": config.validation_clips, "test": config.test_clips}
        made = self.source.make(name, np.arange(counts[name]))
        return cut(made["positions"], made["label"], made["style"], config.given, self.length, 1, self.length)

    @functools.cached_property
    def _by_style(self) -> np.ndarray:
        """Of each class, whether its clips go on like the mean of class and style, rather than like their neighbours:
        what begins after the given frames is in none of these."""
        windows, given = self.windows("train"), self.config.given
        truth, mask = windows.positions[:, given:], windows.mask[:, given:]
        style, near = (squared(x, truth, mask) for x in self._guesses("train").values())
        means = [np.mean((style - near)[windows.label == i]) for i in range(len(self.classes))]
        return np.array(means) < 0.0

    @functools.cache  # noqa: B019
    def _guesses(self, name: str) -> dict[str, np.ndarray]:
        """The mean of class and style, and of the nearest clips, after the given frames: [N, horizon, J, 3] each."""
        windows, given = self.windows(name), self.config.given
        own = windows.clip if name == "train" else None
        found = rows.nearest(windows.positions[:, :given], windows.label, self.known, rows.NEIGHBOURS, own)
        return {
            "style": rows.mean_of_cell(windows.label, windows.style, self.known, own)[:, given:],
            "near": np.mean(self.known.clips[:, given:][found], axis=1),
        }

    @functools.cache  # noqa: B019
    def _split(self, name: str) -> Split:
        windows, given = self.windows(name), self.config.given
        guesses = self._guesses(name)
        guess = np.where(self._by_style[windows.label][:, None, None, None], guesses["style"], guesses["near"])
        if self.config.base == "hold":
            guess = np.repeat(windows.positions[:, given - 1 : given], self.config.horizon, axis=1)
        base = np.concatenate([windows.positions[:, :given], guess], axis=1)
        pairs = zip(windows.label.tolist(), windows.style.tolist(), strict=True)
        words = np.stack([word_numbers(self.sentence(label, style)) for label, style in pairs])
        return Split(windows, base.astype(np.float32), words)

    def sentence(self, label: int, style: int) -> str:
        """The caption of a class and a style."""
        return sentence(self.classes[label], self.styles[style])


def sentence(action: str, style: str) -> str:
    """A templated caption: class and style words, nothing else."""
    return f"a person: {action.replace('-', ' ')}, {style.replace('-', ' ')}"


def standing() -> np.ndarray:
    """`OURS` at rest [J, 3], m, upright over the origin: the guess where nothing is known."""
    places = np.array(OURS.offsets)
    places[0, 1] += STANDING
    for i, parent in enumerate(OURS.parents[1:], 1):
        places[i] += places[parent]
    return places.astype(np.float32)


__all__ = ["MotionData", "Split", "sentence", "standing"]
