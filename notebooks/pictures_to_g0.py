# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # From pictures to g0
#
# A trained run from `examples/runs` gets four pictures of a thrown ball, two eyes at two moments, and draws a fifth: from
# another place, at a later moment. Between the two lies a layer whose only law is dv/dt = -(g0 + a(z)). Nobody told it
# g0, the positions or a mask.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import o2t_jax
from o2t_jax.data.o2t.curriculum import ModeMix
from o2t_jax.evaluation.o2t.law import format_law
from o2t_jax.geometry.para import TARGET

ROOT = Path(__file__).resolve().parents[1] if "__file__" in globals() else Path("..").resolve()
run = o2t_jax.load(ROOT / "examples" / "runs" / "cpu")
run

# %% [markdown]
# ## The law, as it was read when the run was saved
#
# The hidden world has g = 9.81 m/s². It is in the config for comparison; training never sees it. A row that does nothing:
# g0 starts at 0.

# %%
law, truth = run.readouts["law"], run.config.world.g0
print(format_law(law))
print(f"truth {truth} m/s^2: off by {100 * (law['g0'] / truth - 1):+.2f} %; at the start 0 m/s^2, off by -100 %")
assert abs(law["g0"] / truth - 1) < 0.01

# %% [markdown]
# ## Three samples that training never drew
#
# Made anew from their seeds: a ball thrown, cameras aimed without knowing where it is. n is the number of steps of
# `config.dt` seconds between picture 1 and the target.

# %%
source = run.system.source
ahead = ModeMix((0.0, 0.0, 1.0), run.config.k_min + 1, run.config.n_max)  # the future alone
samples = [source("test", index, ahead).arrays() for index in range(3)]
batch = {name: np.stack([sample[name] for sample in samples]) for name in ("pictures", "para", "k", "n")}
predicted = run.predict({**batch, "pictures": batch["pictures"][:, :TARGET]})  # without the target: 4 pictures
print({name: value.shape for name, value in batch.items()}, predicted.shape)

# %%
target = batch["pictures"][:, TARGET] / 255.0
names = ["left, t1", "right, t1", "left, t2", "right, t2", "target", "predicted"]
figure, axes = plt.subplots(len(samples), len(names), figsize=(12, 6))
for row, pictures in enumerate(zip(*np.moveaxis(batch["pictures"][:, :4], 1, 0), target, predicted, strict=True)):
    for axis, picture, name in zip(axes[row], pictures, names, strict=True):
        axis.imshow(np.clip(picture, 0, 255 if picture.dtype == np.uint8 else 1))
        axis.set_axis_off()
        axis.set_title(f"{name}, n = {batch['n'][row]}" if name == "target" else name, fontsize=9)
plt.show()

# %% [markdown]
# ## Beside a row that does nothing
#
# The last picture repeated is from another camera, and the ball has moved on.


# %%
def decibels(pictures: np.ndarray) -> float:
    """Peak signal-to-noise ratio against the targets."""
    return float(-10 * np.log10(np.mean((pictures - target) ** 2)))


print(f"predicted {decibels(predicted):.1f} dB, picture 1 repeated {decibels(batch['pictures'][:, 0] / 255.0):.1f} dB")
assert decibels(predicted) > decibels(batch["pictures"][:, 0] / 255.0) + 10
