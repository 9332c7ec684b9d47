"""The clips of system `video`: the training pool, and held-out windows of every set."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from o2t_jax.config import Config
from o2t_jax.data.stored import open_set
from o2t_jax.data.video.clips import Clips
from o2t_jax.data.video.digits import MovingDigits, load_digits
from o2t_jax.data.video.windows import Pool, made, stored, variance
from o2t_jax.evaluation.video.rows import background_of
from o2t_jax.physics.video import get_set
from o2t_jax.physics.video.tasks import TASKS, checked
from o2t_jax.systems.video_config import DIGITS, mix_of

MOST_WEIGHT = 4.0  # of a set's squared errors over another's mean
_REFERENCE = 200  # training clips that give the mean frame and the background


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Windows of one set that training never sees.

    Attributes: `pictures` [N, T, S, S] 0 to 1; `actions` [N, T - 1, A]; `places` [N, T, K, 2] px of 64, `seen` [N, K];
    `constant` [N], the one that differs from clip to clip.
    """

    pictures: np.ndarray
    actions: np.ndarray
    places: np.ndarray
    seen: np.ndarray
    constant: np.ndarray


class VideoData:
    """Clips of a config's sets."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.mix = mix_of(config.sets)
        self.sources = {name: self._source(name) for name in self.mix}

    @property
    def names(self) -> list[str]:
        """The sets."""
        return list(self.sources)

    def check(self) -> None:
        """Opens the stored sets, if any are named. Raises: UsageError where one is another."""
        for path in self._stored:
            open_set(path, verify=True).require(self._only).close()

    def pool(self, progress: Callable[..., None] | None = None) -> Pool:
        """All training clips, made or read now."""
        count, done = self.config.clips, 0
        counts = {name: count or source.splits["train"] for name, source in self.sources.items()}
        clips: dict[str, Any] = {}
        for name, source in self.sources.items():
            if self._stored:
                parts = []
                for path in self._stored:
                    with open_set(path).require(self._only) as opened:
                        parts.append(stored(opened, count))
                        checked(parts[-1]["actions"])
                clips[name] = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
            else:
                report = None if progress is None else functools.partial(_report, progress, done, sum(counts.values()))
                clips[name] = made(source, "train", counts[name], report)
            done += counts[name]
        return Pool(clips, self.mix, self._weights({name: variance(x["pictures"]) for name, x in clips.items()}))

    def reference(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean frame and background [S, S] of a set, from training clips. Waves fill the picture: theirs is black."""
        return self._reference(name)

    def held_out(self, name: str, split: str, count: int, length: int = 0) -> HeldOut:
        """Windows of `count` clips of a split, cut anywhere, the same for every run; 0 frames: context and horizon."""
        config = self.config
        clips = self._clips(name, split, count)
        length = length or config.context + config.horizon
        starts = np.random.default_rng(0).integers(config.frames - length + 1, size=count)
        cut = lambda x, size: np.stack([clip[start : start + size] for clip, start in zip(x, starts, strict=True)])  # noqa: E731
        return HeldOut(
            cut(clips["pictures"], length).astype(np.float32) / 255.0,
            cut(clips["actions"], length - 1),
            cut(clips["places"], length),
            clips["seen"],
            clips["constant"],
        )

    @functools.cache  # noqa: B019 (it lives as long as its process)
    def _reference(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        count = min(_REFERENCE, self.config.clips or _REFERENCE)
        pictures = self._clips(name, "train", count)["pictures"]
        mean = np.mean(pictures, axis=(0, 1)) / 255.0
        background = np.zeros_like(mean) if name == "waves" else background_of(pictures) / 255.0
        return mean.astype(np.float32), background.astype(np.float32)

    @functools.cache  # noqa: B019 (it lives as long as its process)
    def _clips(self, name: str, split: str, count: int) -> dict[str, Any]:
        """The first clips of a split: several measurements cut their windows from the same ones."""
        return made(self.sources[name], split, count)

    def _weights(self, variances: dict[str, float]) -> dict[str, float]:
        """Of each set's squared errors: its variance to the power of -`even`, within limits, 1 on average."""
        middle = np.exp(np.mean(np.log(list(variances.values()))))
        raw = {name: (x / middle) ** -self.config.even for name, x in variances.items()}
        bounded = {name: float(np.clip(x, 1.0 / MOST_WEIGHT, MOST_WEIGHT)) for name, x in raw.items()}
        mean = sum(self.mix[name] * x for name, x in bounded.items())
        return {name: x / mean for name, x in bounded.items()}

    @property
    def rewarded(self) -> bool:
        """Whether every clip has rewards and continuations."""
        return all("rewards" in source.spec for source in self.sources.values())

    @property
    def _stored(self) -> list[str]:
        return [path.strip() for path in self.config.dataset.split(",") if path.strip()]

    @property
    def _only(self) -> Clips:
        (source,) = self.sources.values()
        return source

    def _source(self, name: str) -> Clips:
        config = self.config
        if name == DIGITS:
            video = MovingDigits(load_digits(config.digits))
        else:
            video = TASKS[name]() if name in TASKS else get_set(name)
        return Clips(video, config.seed, config.frames, config.size)


def _report(progress: Callable[..., None], before: int, total: int, done: int, _: int) -> None:
    progress(before + done, total)


__all__ = ["HeldOut", "VideoData"]
