"""The view of an O2T run: move the target's camera and time; the renderer's picture beside the network's, g(z)."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from o2t_jax.data.o2t.pair_source import PairSource
from o2t_jax.data.o2t.sample import Sample
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t.heldout import difference
from o2t_jax.evaluation.o2t.prediction import psnr
from o2t_jax.geometry.para import LEFT_1, LEFT_2, RIGHT_1, RIGHT_2, TARGET
from o2t_jax.physics.gravity import gravity_of
from o2t_jax.systems.view import Chart, Shown, Slider, TrainedRun, Values

_LEAST = 1.0  # m or deg: the least half range of a control, where the training moved its cameras by nothing
BRIGHTER = 4  # the difference is shown brighter than it is, by this factor
_GIVEN = {"left eye, t1": LEFT_1, "right eye, t1": RIGHT_1, "left eye, t2": LEFT_2, "right eye, t2": RIGHT_2}


class O2TView:
    """See `systems.view.View`. The cameras are those of held-out FUTURE samples; the controls move the target's.

    The state is empty: what is seen follows from the controls.
    """

    def __init__(self, run: TrainedRun) -> None:
        """Raises: UsageError for a run of whole flights, whose pictures are windows that no moved camera has."""
        self.run, self.system, config = run, run.system, run.config
        if not isinstance(self.system.source, PairSource):
            raise UsageError(f"{run.workdir} has sampler={config.sampler}: only sampler=pairs has a view of O2T")
        self.title = f"{run.workdir.name}: O2T at step {run.step}"
        self.period = float(config.dt)
        # As far as training turns and shifts its cameras: there is no more to expect of the network.
        turn, lift, shift = (
            max(_LEAST, config[f"view_{name}"], config[f"future_{name}"]) for name in ("azimuth", "elevation", "shift")
        )
        count = max(1, config.eval_samples - 2 * max(1, config.eval_samples // 4))
        self.controls = {
            "sample": Slider("held-out sample", "", 0, count - 1, 1, 0),
            "n": Slider("time from t1", f"steps of {config.dt:g} s", 0, config.n_max, 1, config.n_max // 2),
            "azimuth": Slider("turn left", "deg", -turn, turn, turn / 20, 0),
            "elevation": Slider("look up", "deg", -lift, lift, lift / 20, 0),
            "along": Slider("move forward", "m", -shift, shift, shift / 20, 0),
            "across": Slider("move left", "m", -shift, shift, shift / 20, 0),
        }

    def begin(self, values: Values) -> None:
        """No state."""

    def advance(self, state: None, values: Values) -> tuple[None, Values]:
        """The next time step; after the last one the first."""
        return None, {**values, "n": (round(values["n"]) + 1) % (self.run.config.n_max + 1)}

    def show(self, state: None, values: Values) -> Shown:
        """The given pictures, the true one, the predicted one, their difference; g(z); how near they are."""
        moved = self.moved(values)
        predicted = self.predicted(moved)
        true = moved.pictures[TARGET]
        apart = np.clip(BRIGHTER * difference(predicted, true), 0, 255).astype(np.uint8)
        given = {name: moved.pictures[index] for name, index in _GIVEN.items()}
        idle = moved.pictures[LEFT_1]  # the row that predicts nothing
        seconds = (moved.shot.times[TARGET] - moved.shot.times[LEFT_1]).item()
        facts = {
            "time": f"{seconds:.2f} s after t1, t2 is {moved.shot.k * self.run.config.dt:.2f} s",
            "prediction": _told(psnr(_mse(predicted, true))),
            "do nothing (repeat the first picture)": _told(psnr(_mse(idle, true))),
        }
        pictures = {
            "renderer (truth)": true,
            "network": predicted,
            f"difference, {BRIGHTER} times as bright": np.repeat(apart[..., None], 3, axis=-1),
        }
        return Shown(pictures, self._charts, facts | self._law_facts, given)

    def moved(self, values: Values) -> Sample:
        """The held-out sample with its target at another time and from a camera moved by the controls.

        Forward and left are of camera 1's heading, as the shifts of `data.o2t.shots` are.
        """
        sample, source = self._sample(round(values["sample"])), self.system.source
        shot, n = sample.shot, round(values["n"])
        heading = np.radians(shot.angles[LEFT_1, 0])
        forward, left = (np.cos(heading), np.sin(heading), 0.0), (-np.sin(heading), np.cos(heading), 0.0)
        positions, angles, times = shot.positions.copy(), shot.angles.copy(), shot.times.copy()
        positions[TARGET] += values["along"] * np.array(forward) + values["across"] * np.array(left)
        angles[TARGET] += values["azimuth"], values["elevation"]
        times[TARGET] = times[LEFT_1] + n * self.run.config.dt
        last = [TARGET]
        picture = source.renderer.render(
            sample.setup_seed, times[last], angles[last], positions[last], source.image_size
        )
        moved = shot._replace(times=times, angles=angles, positions=positions, n=n)
        return sample._replace(shot=moved, pictures=np.concatenate([sample.pictures[:TARGET], np.asarray(picture)]))

    def predicted(self, sample: Sample) -> UInt8[np.ndarray, "H W 3"]:
        """The network's picture of a sample's target."""
        state, batch = self.run.state, {name: x[None] for name, x in sample.arrays().items()}
        found = np.asarray(self.system.predict_pictures(state.params, state.extra, batch)[0])
        return np.round(255.0 * np.clip(found, 0.0, 1.0)).astype(np.uint8)

    @functools.lru_cache(maxsize=64)  # noqa: B019 (a view lives as long as its process)
    def _sample(self, index: int) -> Sample:
        return self.system.source("test", index, self.system.ahead)

    @functools.cached_property
    def _law(self) -> Mapping:
        return self.run.readouts.get("law") or {}

    @functools.cached_property
    def _charts(self) -> tuple[Chart, ...]:
        """g(z) over the heights that training met, beside the truth where the world tells it."""
        if not self._law:
            return ()
        table = np.asarray(self._law["g_of_z"], np.float64)
        lines, truth = {"network": table}, self.system.truth()
        if truth:
            lines["truth"] = np.stack([table[:, 0], np.asarray(gravity_of(truth).g(table[:, 0]))], axis=-1)
        return (Chart("the law read off the weights", "height z, m", "g, m/s²", lines),)

    @functools.cached_property
    def _law_facts(self) -> dict[str, str]:
        if not self._law:
            return {}
        table, truth = np.asarray(self._law["g_of_z"], np.float64), self.system.truth()
        told = f"{self._law['g0']:.3f} m/s²"
        if truth:
            told += f" (truth, mean over these heights: {float(np.mean(gravity_of(truth).g(table[:, 0]))):.3f})"
        return {"g0 of the weights": told}


def _mse(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.mean(np.square(one / 255.0 - other / 255.0)))


def _told(decibel: float | None) -> str:
    return "no difference" if decibel is None or not np.isfinite(decibel) else f"{decibel:.1f} dB"


__all__ = ["O2TView"]
