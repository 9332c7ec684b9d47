# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A scene of your own
#
# A scene is a distribution of initial conditions and a way to aim cameras at it. It knows no law of gravity: the same
# scene is drawn under any. Here a fountain: balls shot straight up from the ground. Then a network that was trained on
# another scene, `ballistic`, is asked what comes next.

# %%
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

import o2t_jax
from o2t_jax.data.o2t.curriculum import ModeMix
from o2t_jax.geometry.para import TARGET
from o2t_jax.physics.room.exact import PROJECTILE, Setup
from o2t_jax.render.scenes import SCENES
from o2t_jax.render.scenes.base import distance_range
from o2t_jax.systems.base import build_system

ROOT = Path(__file__).resolve().parents[1] if "__file__" in globals() else Path("..").resolve()


# %%
class Fountain:
    """One orange ball, shot up at 6 to 8 m/s from a metre high, with hardly any sideways speed."""

    name = "fountain"
    num_balls = 1
    bounces = False
    t_max = 1.0

    def sample(self, rng: np.random.Generator) -> Setup:
        """Initial conditions: position m and velocity m/s at t = 0."""
        return Setup(
            radius=rng.uniform(0.25, 0.35, 1),
            colour=np.array([[0.95, rng.uniform(0.4, 0.6), 0.1]]),
            position=np.array([[0.0, 0.0, 1.0]]),
            velocity=np.array([[*rng.normal(0.0, 0.3, 2), rng.uniform(6.0, 8.0)]]),
            kind=np.array([PROJECTILE]),
            side=np.array([1]),
            bounces=False,
            vanishes=False,
        )

    def view_prior(self, rng: np.random.Generator, shot_config: Any) -> tuple[np.ndarray, float, float]:
        """Camera 1, aimed by the distribution alone: position m, azimuth and elevation deg."""
        bearing, distance = rng.uniform(0.0, 360.0), rng.uniform(*distance_range(shot_config, 4.5, 6.0))
        heading = np.radians(bearing)
        place = np.array([-distance * np.cos(heading), -distance * np.sin(heading), rng.uniform(1.6, 2.4)])
        return place, float(bearing + rng.uniform(-3.0, 3.0)), float(16.0 + rng.uniform(-4.0, 4.0))


if "fountain" not in SCENES:
    SCENES.register(
        "fountain", Fountain()
    )  # in the library: a file in o2t_jax/render/scenes and a line in its registry

# %% [markdown]
# ## Drawn
#
# The trained run's config with this scene in place of its own gives a system that draws, samples and predicts.

# %%
run = o2t_jax.load(ROOT / "examples" / "runs" / "cpu")
config = run.config.copy_and_resolve_references()
config.unlock()
config.scene = "fountain"
system = build_system(config.lock())
ahead = ModeMix((0.0, 0.0, 1.0), config.k_min + 1, config.n_max)  # samples of the future alone
first = system.source("test", 0, ahead)
times = np.linspace(0.0, 0.9, 7)
camera = [np.repeat(x[:1], len(times), axis=0) for x in (first.shot.angles, first.shot.positions)]
strip = system.source.renderer.render(first.setup_seed, times, *camera, (128, 128))
figure, axes = plt.subplots(1, len(times), figsize=(12, 2.2))
for axis, picture, t in zip(axes, strip, times, strict=True):
    axis.imshow(picture)
    axis.set_title(f"{t:.2f} s", fontsize=9)
    axis.set_axis_off()
plt.show()

# %% [markdown]
# ## Predicted, by a network that never saw it

# %%
samples = [system.source("test", index, ahead).arrays() for index in range(8)]
batch = {name: np.stack([sample[name] for sample in samples]) for name in ("pictures", "para", "k", "n")}
predicted = run.predict({**batch, "pictures": batch["pictures"][:, :TARGET]})
target, still = batch["pictures"][:, TARGET] / 255.0, batch["pictures"][:, 0] / 255.0
errors = {"predicted": predicted, "picture 1 repeated (does nothing)": still}
decibels = {name: float(-10 * np.log10(np.mean((pictures - target) ** 2))) for name, pictures in errors.items()}
print("\n".join(f"{name}: {value:.1f} dB" for name, value in decibels.items()))
assert decibels["predicted"] > decibels["picture 1 repeated (does nothing)"] + 3

# %%
figure, axes = plt.subplots(2, 4, figsize=(9, 5))
for column in range(4):
    pictures = {"target": target[column], "predicted": predicted[column]}
    for axis, (name, picture) in zip(axes[:, column], pictures.items(), strict=True):
        axis.imshow(np.clip(picture, 0, 1))
        axis.set_title(f"{name}, n = {batch['n'][column]}", fontsize=9)
        axis.set_axis_off()
plt.show()

# %% [markdown]
# To train on it: put the class into `o2t_jax/render/scenes/`, add its line to `SCENES`, then
# `python -m experiments.train --config.scene=fountain`. A ball should be 7 px wide or more in the network's pictures;
# "no ball seen" in the progress lines says that it is too small. Pictures from a program of your own instead: docs/plugins.md.
